"""Which kind of database a hub has."""

from __future__ import annotations

from ..errors import HubError
from .cluster import Access
from .hub_database import DatabaseBackup, HubDatabase
from .release import Release
from .server_database import ServerDatabase
from .server_programs import program_of
from .volume_database import VolumeDatabase


def database_of(access: Access, release: Release, image: str = "", storage: str = "1Gi") -> HubDatabase:
    """The database of a release. Raises HubError where no recovery point can be made of it."""
    if release.database.claim:
        return VolumeDatabase(access, release.name, release.hub)
    program = program_of(release.database.url)
    if program:
        return ServerDatabase(access, release.name, release.hub, program, image, storage)
    raise HubError(
        f"The hub's database is {release.database.kind}: no recovery point can be made of it yet.",
        "Upgrade this release as the guide of Zero to JupyterHub says, with a dump of the database.",
    )


def database_of_backup(access: Access, release: str, hub: str, backup: DatabaseBackup) -> HubDatabase:
    """The database that a copy was made of."""
    program = program_of(backup.url)
    if program:
        return ServerDatabase(access, release, hub, program)
    return VolumeDatabase(access, release, hub)
