"""Changes of each new major that the administrator reads before the upgrade."""

from __future__ import annotations

from typing import Iterator

from ...releases import catalogue
from ...releases.catalogue import Series
from ..upgrade import Upgrade
from .finding import NOTE, Finding, Kind

_CHANGELOG = "https://jupyterhub.readthedocs.io/en/stable/reference/changelog.html"


def _kind(series: Series) -> Kind:
    pages = f"{series.guide} and {_CHANGELOG}" if series.guide else _CHANGELOG
    return Kind(
        f"changes-{series.major}",
        NOTE,
        f"The upgrade crosses JupyterHub {series.since}.",
        series.changes,
        f"Read {pages} ({series.since}).",
    )


KINDS = tuple(_kind(series) for series in catalogue.SERIES if series.changes)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """A note for each major that is crossed."""
    for series in catalogue.SERIES:
        if series.changes and upgrade.crosses(series.major):
            yield _kind(series).found(
                f"From JupyterHub {upgrade.current} to {upgrade.target.version} crosses {series.since}."
            )
