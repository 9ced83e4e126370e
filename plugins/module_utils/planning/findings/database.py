"""The hub's database: whether it can be backed up, migrated and written."""

from __future__ import annotations

from typing import Iterator

from ...databases import kinds
from ...databases.facts import DatabaseFacts
from ..upgrade import Upgrade
from .finding import BLOCKER, NOTE, WARNING, Finding, Kind, listing

DATABASE_NOT_SUPPORTED = Kind(
    "database-not-supported",
    BLOCKER,
    "The database is of a kind that cannot be backed up.",
    "Nothing could be restored.",
    "Upgrade this hub manually, with a dump by the database's own tools.",
)
DATABASE_MISSING = Kind(
    "database-missing",
    BLOCKER,
    "The file that db_url names does not exist.",
    "The new hub would start with an empty one.",
    "Check db_url, and the working directory of the service that it is relative to.",
)
DATABASE_NOT_READABLE = Kind(
    "database-not-readable",
    BLOCKER,
    "The database is locked, damaged, out of reach or of another kind than its URL says.",
    "Nothing can be migrated safely before this is fixed.",
    "Follow the message, then try again.",
)
DATABASE_DAMAGED = Kind(
    "database-damaged",
    BLOCKER,
    "SQLite's quick check finds damage in the database.",
    "A migration may fail half-way or lose rows, and a copy of a damaged database restores nothing.",
    "Restore it from a backup, or rebuild it with sqlite3's .recover.",
)
DATABASE_NOT_A_HUBS = Kind(
    "database-not-a-hubs",
    BLOCKER,
    "The database has no table of users.",
    "It is not the database that the hub uses; that one would be neither backed up nor migrated.",
    "Compare db_url and the working directory of the service.",
)
DATABASE_REVISION_UNKNOWN = Kind(
    "database-revision-unknown",
    BLOCKER,
    "The database has a revision that the target does not know.",
    "A newer hub has used it, and a database cannot be migrated back.",
    "Name the version that has used it or a newer one, or restore the copy that belongs to this hub.",
)
DATABASE_HALF_MIGRATED = Kind(
    "database-half-migrated",
    BLOCKER,
    "The database has columns of a later revision than the one that it is stamped with, or two stamps.",
    "An earlier migration was cut off; the next one fails with `duplicate column name`.",
    "Restore the copy from before that migration.",
    accept=True,
)
DATABASE_NOT_WRITABLE = Kind(
    "database-not-writable",
    BLOCKER,
    "The hub's user may not write the database or its folder, where SQLite makes its journal.",
    "The new hub starts, and fails at its first write.",
    "Make the service's user the owner of the file and the folder.",
)
DATABASE_ON_NETWORK = Kind(
    "database-on-network",
    WARNING,
    "The database is on a network file system.",
    "SQLite relies on locks that such file systems do not keep: it may be damaged at any time.",
    "Move it to a local disk.",
)
DATABASE_IN_WAL_MODE = Kind(
    "database-in-wal-mode",
    NOTE,
    "The database keeps its newest rows in a -wal file.",
    "Copies of the database's file alone miss them, JupyterHub's own before a migration too; recovery points "
    "do not.",
    "Nothing, unless you copy it manually: use sqlite3's .backup then.",
)
DATABASE_BROKEN_REFERENCES = Kind(
    "database-broken-references",
    NOTE,
    "Rows of the database refer to rows that do not exist.",
    "Hubs leave such rows behind. They do no harm in SQLite; another database would refuse them.",
    "Nothing.",
)
KINDS = (
    DATABASE_NOT_SUPPORTED,
    DATABASE_MISSING,
    DATABASE_NOT_READABLE,
    DATABASE_DAMAGED,
    DATABASE_NOT_A_HUBS,
    DATABASE_REVISION_UNKNOWN,
    DATABASE_HALF_MIGRATED,
    DATABASE_NOT_WRITABLE,
    DATABASE_ON_NETWORK,
    DATABASE_IN_WAL_MODE,
    DATABASE_BROKEN_REFERENCES,
)

#: As Linux names them in /proc/self/mountinfo.
NETWORK_FILE_SYSTEMS = (
    *("afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gpfs"),
    *("lustre", "nfs", "nfs4", "smb2", "smb3", "smbfs"),
)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the database."""
    database = upgrade.deployment.database
    if database.kind not in kinds.KINDS:
        known = ", ".join(sorted(kinds.KINDS))
        yield DATABASE_NOT_SUPPORTED.found(f"The database {database.url} is none of: {known}.")
        return
    if not database.exists:
        yield DATABASE_MISSING.found(f"The hub's database {database.name} does not exist.")
        return
    yield from _place(database)
    if database.problem:
        if database.server and not all(database.server.clients.values()):
            return  # without clients nobody has asked
        yield DATABASE_NOT_READABLE.found(
            f"The hub's database {database.name} cannot be used: {database.problem}"
        )
        return
    yield from _content(database, upgrade)


def _place(database: DatabaseFacts) -> Iterator[Finding]:
    """Where the file is, and who may write it."""
    refused = [path for path, writable in (database.writable or {}).items() if not writable]
    if refused:
        yield DATABASE_NOT_WRITABLE.found(f"The hub's user may not write {' and '.join(refused)}.")
    if database.file_system in NETWORK_FILE_SYSTEMS:
        yield DATABASE_ON_NETWORK.found(
            f"The database {database.name} is on a network file system ({database.file_system})."
        )


def _content(database: DatabaseFacts, upgrade: Upgrade) -> Iterator[Finding]:
    path, revision = database.name, database.revision
    if database.damage:
        yield DATABASE_DAMAGED.found(f"The database {path} is damaged: {database.damage}.")
    if "users" not in (database.rows or {}):
        yield DATABASE_NOT_A_HUBS.found(f"{path} is not a hub's database: it has no table of users.")
    if revision and upgrade.target.revisions and revision not in upgrade.target.revisions:
        yield DATABASE_REVISION_UNKNOWN.found(
            f"The database {path} has revision {revision}, which JupyterHub {upgrade.target.version} "
            "does not know."
        )
    if database.revisions > 1:
        yield DATABASE_HALF_MIGRATED.found(f"The database {path} has {database.revisions} revisions.")
    elif database.ahead:
        yield DATABASE_HALF_MIGRATED.found(
            f"The database {path} is stamped {revision}, but it has {listing(database.ahead)} already."
        )
    if database.journal_mode == "wal":
        yield DATABASE_IN_WAL_MODE.found(f"The database {path} is in WAL mode.")
    broken = database.broken_references
    if broken:
        rows = ", ".join(f"{table}: {count}" for table, count in sorted(broken.items()))
        yield DATABASE_BROKEN_REFERENCES.found(f"Rows of {path} refer to nothing ({rows}).")
