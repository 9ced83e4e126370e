"""The database of a recovery point: whether the host's has to give way to it."""

from __future__ import annotations

import json
from pathlib import Path

from ..databases.base import Contents, Database
from ..databases.facts import DatabaseBackup
from ..deployment.database import database_of
from ..deployment.model import Deployment
from ..errors import HubError
from ..runs import journal
from ..system import files
from .manifest import Manifest

#: In the state folder: whose database was restored since the last one was sealed.
RESTORED = "restored.json"
LOCK_SECONDS = 1


def of_manifest(point: Path, manifest: Manifest) -> Database:
    """The hub's database that a recovery point has a copy of."""
    return database_of(manifest.deployment, point)


def of_run(folder: Path, deployment: Deployment) -> Database:
    """The hub's database; as the recovery point of a run knows it that is under way in this state folder."""
    run = journal.read(folder)
    known = run is not None and not run.is_over and run.recovery_point
    return database_of(deployment, Path(known) if known else None)


def differs(point: Path, manifest: Manifest, afresh: bool = False) -> bool:
    """Whether the kept database has to replace the host's.

    Not where the host's is still the one that was sealed, or its copy; nor where it was restored already:
    what was written since then are rows of users of the restored hub. A copy that was made for a change but
    never sealed is older than the database, which the change has not reached: it replaces only one that is
    missing or has another revision. With ``afresh`` it is asked what a new change would find, which forgets
    that something was restored before.
    """
    database, backup = of_manifest(point, manifest), manifest.database
    if not database.exists():
        return True
    if database.is_as_backed_up(backup):
        return False
    other_revision = revision_now(database, backup) != backup.revision
    if backup.sealed or manifest.purpose == "backup":
        return other_revision or afresh or not _was_restored(point)
    return other_revision


def revision_now(database: Database, backup: DatabaseBackup) -> str | None:
    """The database's revision; the backup's where it cannot be read now, such as while it is locked."""
    try:
        return database.contents(LOCK_SECONDS).revision
    except HubError:
        return backup.revision


def remember_restore(point: Path) -> None:
    """From here on the database is as the point says, or newer because the hub serves again."""
    if not _was_restored(point):
        files.write(_restored_file(point), json.dumps({"recovery_point": point.name}).encode())


def forget_restore(point: Path) -> None:
    """Something new begins: the present database counts for itself again."""
    if _restored_file(point).exists():
        _restored_file(point).unlink()
        files.sync(_restored_file(point).parent)


def described(database: DatabaseBackup | Contents) -> str:
    """The description of a database, kept or not, for messages."""
    return f"revision {database.revision}, {sum(database.rows.values())} rows"


def described_on_host(database: Database) -> str:
    """The same of the host's database."""
    if not database.exists():
        return "missing"
    try:
        return described(database.contents(LOCK_SECONDS))
    except HubError as error:
        return error.message


def _restored_file(point: Path) -> Path:
    return point.parents[1] / RESTORED


def _was_restored(point: Path) -> bool:
    try:
        return bool(json.loads(_restored_file(point).read_bytes())["recovery_point"] == point.name)
    except (FileNotFoundError, ValueError, KeyError):
        return False
