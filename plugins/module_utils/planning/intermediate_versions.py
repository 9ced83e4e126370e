"""Releases that a database is migrated through, where the target cannot migrate it in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..deployment.model import Deployment
from ..environments.planned import INTERMEDIATE, IntermediateVersion
from ..releases import versions


class FailingMigration(NamedTuple):
    """One migration that fails when it is made in one step."""

    revision: str
    """Of a database that it fails for, where servers are registered in that."""
    major: int
    """From this major of the target on."""
    through: str
    """The release in between."""
    why: str
    source: str


KNOWN = (
    FailingMigration(
        "833da8570507",
        5,
        "4.1.6",
        "from JupyterHub 5 on the migration of a database of 2.x asks for columns that it does not have yet "
        "where a user's server is registered",
        "https://github.com/jupyterhub/jupyterhub/issues/5427",
    ),
)

#: The source of intermediate versions that nobody knew of.
REHEARSAL = "the rehearsal on this host"

#: The last release of each major that may be in between, and what has to be with it: hubs before 3.1.1 do not
#: know SQLAlchemy 2.
LAST_RELEASES = {
    "2.3.1": ["sqlalchemy<2"],
    "3.1.1": [],
    "4.1.6": [],
    "5.4.6": [],
}


def needed(deployment: Deployment, target: str, python: str = "") -> tuple[IntermediateVersion, ...]:
    """The intermediate versions that a deployment's database is known to need on its way to ``target``.

    Each has an environment of its own beside the hub's, as `staging.stage` makes it, with the interpreter
    ``python`` or the hub's.
    """
    database = deployment.database
    return tuple(
        _entry(deployment, known.through, [], python, known.why, known.source)
        for known in KNOWN
        if database.revision == known.revision
        and database.servers
        and versions.parse_release(target).major >= known.major
    )


def through_the_majors(
    deployment: Deployment, target: str, python: str, why: str
) -> tuple[IntermediateVersion, ...]:
    """The last release of every major between the hub's and the target's, as `needed` gives them.

    ``why`` is what a rehearsal of the direct way has said: its word is their source.
    """
    of_hub, of_target = (versions.parse_release(version).major for version in (deployment.jupyterhub, target))
    return tuple(
        _entry(deployment, release, related, python, f"in one step it fails: {why}", REHEARSAL)
        for release, related in LAST_RELEASES.items()
        if of_hub < versions.parse_release(release).major < of_target
    )


def _entry(
    deployment: Deployment, release: str, related: Sequence[str], python: str, why: str, source: str
) -> IntermediateVersion:
    hub = deployment.hub_environment
    path = hub.path.rstrip("/")
    return IntermediateVersion(
        version=release,
        path=path,
        staged_path=f"{path}.intermediate-{release}",
        strategy=INTERMEDIATE,
        python=python or hub.python or "",
        requirements=(f"jupyterhub=={release}", *related),
        why=why,
        source=source,
    )
