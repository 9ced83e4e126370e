"""Facts about an environment, for code that does not change it."""

from __future__ import annotations

from dataclasses import dataclass

#: Ids of the findings that `Obstacle` has.
NO_CONDA, PINNED, ENVIRONMENTS_INSIDE = "no-conda", "conda-pinned", "environments-inside"
OWNER = "environment-owner"


@dataclass(frozen=True)
class EnvironmentFacts:
    """One Python environment, the hub's or one of single-user servers, as it is on the host."""

    path: str
    """As the service names it: a link stays one."""
    kind: str
    """``venv``, ``conda``, ``system`` or ``image``."""
    python: str | None
    """Its interpreter; None where that is gone, as after an upgrade of the operating system."""
    python_version: str | None
    """``3.11.2``, or only ``3.11`` where nothing on disk tells the last number."""
    jupyterhub: str | None
    """The version of jupyterhub that is installed."""
    packages: dict[str, str]
    """Versions of the packages related to JupyterHub, by normalised name."""


@dataclass(frozen=True)
class Obstacle:
    """What prevents the upgrade of an environment; ``id`` is that of the finding, ``fix`` what it can add."""

    id: str
    found: str
    fix: str = ""
