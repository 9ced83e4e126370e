"""Releases that a database is migrated through, where the target cannot migrate it in one step."""

from __future__ import annotations

from ..databases.drivers import drivers_of
from ..deployment.model import Deployment
from ..environments.planned import INTERMEDIATE, IntermediateVersion
from ..releases import catalogue
from ..releases.versions import parse_release

#: The source of intermediate versions that the catalogue does not have.
REHEARSAL = "the rehearsal on this host"
#: What their environments have, as far as the choice of the database's driver goes.
SQLALCHEMY = "2.0"


def needed(deployment: Deployment, target: str, python: str = "") -> tuple[IntermediateVersion, ...]:
    """The intermediate versions that a deployment's database is known to need on its way to ``target``.

    Each has an environment of its own beside the hub's, as `staging.stage` makes it, with the interpreter
    ``python`` or the hub's.
    """
    database = deployment.database
    return tuple(
        _entry(deployment, failing.through, python, failing.why, failing.source)
        for failing in catalogue.failing_migrations(parse_release(target))
        if database.revision == failing.revision and database.servers
    )


def through_the_majors(
    deployment: Deployment, target: str, python: str, why: str
) -> tuple[IntermediateVersion, ...]:
    """A release of every major between the hub's and the target's, as `needed` gives them.

    ``why`` is the result of a rehearsal of the direct migration, which is their source.
    """
    of_hub, of_target = (parse_release(version).major for version in (deployment.jupyterhub, target))
    return tuple(
        _entry(deployment, series.intermediate_version, python, f"in one step it fails: {why}", REHEARSAL)
        for series in catalogue.SERIES
        if series.intermediate_version and of_hub < series.major < of_target
    )


def _entry(deployment: Deployment, release: str, python: str, why: str, source: str) -> IntermediateVersion:
    hub = deployment.hub_environment
    series = catalogue.series_of(parse_release(release))
    url = deployment.database.url
    # Where it decides on the driver, the version before 2.1: the old hub's driver goes with it.
    versions = (series.sqlalchemy if series else "") or ("<2.1" if len(drivers_of(url, "")) > 1 else "")
    sqlalchemy = [f"sqlalchemy{versions}"] if versions else []
    drivers = [driver.requirement for driver in drivers_of(url, SQLALCHEMY)]
    path = hub.path.rstrip("/")
    return IntermediateVersion(
        version=release,
        path=path,
        kind=hub.kind,
        staged_path=f"{path}.intermediate-{release}",
        strategy=INTERMEDIATE,
        python=python or hub.python or "",
        requirements=(f"jupyterhub=={release}", *sqlalchemy, *drivers),
        why=why,
        source=source,
    )
