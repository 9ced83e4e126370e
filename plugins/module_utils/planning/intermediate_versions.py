"""Releases that a database is migrated through, where the target cannot migrate it in one step."""

from __future__ import annotations

from typing import Any

from ..releases import catalogue
from ..releases.versions import parse_release

#: The source of intermediate versions that nobody knew of.
REHEARSAL = "the rehearsal on this host"


def needed(deployment: dict[str, Any], target: str, python: str = "") -> list[dict[str, Any]]:
    """The intermediate versions that a deployment's database is known to need on its way to ``target``.

    They are as the plan has them. Each has an environment of its own beside the hub's, as `staging.stage`
    makes it, with the interpreter ``python`` or the hub's.
    """
    database = deployment["database"]
    return [
        _entry(deployment, failing.through, python, failing.why, failing.source)
        for failing in catalogue.failing_migrations(parse_release(target))
        if database["revision"] == failing.revision and database["servers"]
    ]


def through_the_majors(
    deployment: dict[str, Any], target: str, python: str, why: str
) -> list[dict[str, Any]]:
    """A release of every major between the hub's and the target's, as `needed` gives them.

    ``why`` is what a rehearsal of the direct way has said: its word is their source.
    """
    of_hub, of_target = (
        parse_release(version).major for version in (deployment["hub_environment"]["jupyterhub"], target)
    )
    return [
        _entry(deployment, series.intermediate_version, python, f"in one step it fails: {why}", REHEARSAL)
        for series in catalogue.SERIES
        if series.intermediate_version and of_hub < series.major < of_target
    ]


def _entry(deployment: dict[str, Any], release: str, python: str, why: str, source: str) -> dict[str, Any]:
    hub = deployment["hub_environment"]
    series = catalogue.series_of(parse_release(release))
    sqlalchemy = [f"sqlalchemy{series.sqlalchemy}"] if series and series.sqlalchemy else []
    path = hub["path"].rstrip("/")
    return {
        "version": release,
        "path": path,
        "staged_path": f"{path}.intermediate-{release}",
        "strategy": "intermediate",
        "python": python or hub["python"],
        "requirements": [f"jupyterhub=={release}", *sqlalchemy],
        "why": why,
        "source": source,
    }
