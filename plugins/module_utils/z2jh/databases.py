"""Which kind of database a hub has."""

from __future__ import annotations

from ..errors import HubError
from .cluster import Access
from .hub_database import DatabaseBackup, Evidence, HubDatabase
from .named_database import NamedDatabase
from .release import Release
from .server_database import ServerDatabase
from .server_programs import program_of
from .volume_database import VolumeDatabase

#: No evidence.
NONE = Evidence()


def database_of(
    access: Access,
    release: Release,
    image: str = "",
    storage: str = "1Gi",
    evidence: Evidence = NONE,
) -> HubDatabase:
    """The database of a release. Raises HubError where no recovery point can be made of it."""
    if release.database.claim:
        if evidence.what:
            raise HubError(
                f"The hub's database is on the claim {release.database.claim}, and is copied there.",
                "Take z2jh_database_evidence out: it is for a database that cannot be dumped.",
            )
        return VolumeDatabase(access, release.name, release.hub)
    if evidence.what:
        return NamedDatabase(access, release.name, release.hub, evidence)
    program = program_of(release.database.url)
    if program:
        return ServerDatabase(access, release.name, release.hub, program, image, storage)
    raise HubError(
        f"The hub's database is {release.database.kind}: no recovery point can be made of it.",
        "Name what there is of it in z2jh_database_evidence, if it is on a server; see the guide.",
    )


def database_of_backup(access: Access, release: str, hub: str, backup: DatabaseBackup) -> HubDatabase:
    """The database that a copy was made of."""
    if backup.evidence.what:
        return NamedDatabase(access, release, hub, backup.evidence)
    program = program_of(backup.url)
    if program:
        return ServerDatabase(access, release, hub, program)
    return VolumeDatabase(access, release, hub)
