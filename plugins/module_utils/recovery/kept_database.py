"""The database of a recovery point: its copy, and whether the host's has to give way to it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from ..databases import sqlite
from ..databases.base import DatabaseFacts
from ..errors import HubError
from ..system import files
from . import reserved_space
from .manifest import KeptDatabase, Manifest

#: The copies made while the hub serves and after it has stopped; the manifest names the one that counts.
NAMES = ("database.sqlite", "sealed.sqlite")
#: In the state folder: whose database was put back since the last one was sealed.
RESTORED = "restored.json"
LOCK_SECONDS = 1


def keep(point: Path, found: DatabaseFacts, lock_timeout: float) -> KeptDatabase:
    """Copy the database of a deployment while the hub writes to it: the manifest's ``database``."""
    source = Path(found.path or "")
    before = _fingerprint(source)
    copy = sqlite.backup(source, point / NAMES[0], timeout=lock_timeout)
    # Of no use where somebody wrote meanwhile: then nobody knows which file the copy is of.
    same = before if _fingerprint(source) == before else None
    facts = source.stat()
    return KeptDatabase(
        path=str(source),
        kind=found.kind,
        mode=f"{facts.st_mode & 0o7777:04o}",
        owner=facts.st_uid,
        group=facts.st_gid,
        file=copy.path.name,
        sha256=copy.sha256,
        bytes=copy.bytes,
        revision=copy.revision,
        rows=copy.rows,
        sealed=False,
        source=same,
    )


def prepare_seal(point: Path, database: KeptDatabase) -> None:
    """Lay out a second copy while the hub serves: of that, `sealed` has to write only what has changed.

    Raises HubError when there is no room for it.
    """
    target = point / _other_name(database)
    with files.scratch(target) as part:
        try:
            shutil.copyfile(point / database.file, part)
            files.rename(part, target)
        except OSError as error:
            raise HubError(
                f"{point} has no room for the last backup, {database.bytes:,} bytes: {error.strerror}.",
                "Make room there.",
            ) from error


def sealed(point: Path, database: KeptDatabase, lock_timeout: float) -> KeptDatabase:
    """Copy the database once more, beside the earlier copy; returns the manifest's new ``database``."""
    source = Path(database.path)
    target = point / _other_name(database)
    if sqlite.is_at_rest(source):
        copy = sqlite.refresh(target, source, timeout=lock_timeout)
        # The same, byte for byte.
        same: dict[str, str] | None = {"file": copy.sha256}
    else:
        copy = sqlite.backup(source, target, timeout=lock_timeout)
        same = _fingerprint(source)
    return replace(
        database,
        file=copy.path.name,
        sha256=copy.sha256,
        bytes=copy.bytes,
        revision=copy.revision,
        rows=copy.rows,
        sealed=True,
        source=same,
    )


def _other_name(database: KeptDatabase) -> str:
    """The name that the manifest's copy does not have."""
    return next(name for name in NAMES if name != database.file)


def remove_other_copies(point: Path, database: KeptDatabase) -> None:
    """Remove the copy that the manifest does not name (any more)."""
    for name in NAMES:
        if name != database.file and (point / name).exists():
            (point / name).unlink()


def differs(point: Path, manifest: Manifest, afresh: bool = False) -> bool:
    """Whether the kept database has to replace the host's.

    Not where the host's is still the one that was sealed, or its copy; nor where it was put back already:
    what it has got since then are rows of people who use the hub again. A copy that was made for a change but
    never sealed is older than the database, which the change has not reached: it replaces only one that is
    missing or has another revision. With ``afresh`` it is asked what a new change would find, which forgets
    that something was put back before.
    """
    database = manifest.database
    path = Path(database.path)
    found = _fingerprint(path)
    if found is None:
        return True
    if found in (database.source, {"file": database.sha256}):
        return False
    other_revision = _revision(path, database.revision) != database.revision
    if database.sealed or manifest.purpose == "backup":
        return other_revision or afresh or not _was_restored(point)
    return other_revision


def restore(point: Path, database: KeptDatabase, aside: Path) -> None:
    """Put the kept database in its place; what stood there goes into the folder ``aside``."""
    reserved_space.release_beside(database)
    sqlite.place(point / database.file, Path(database.path), aside)


def is_owned_otherwise(database: KeptDatabase) -> bool:
    """Whether the host's database belongs to somebody else, or lets others at it than the manifest says."""
    return not files.is_owned(Path(database.path), *_ownership(database))


def give_back(database: KeptDatabase) -> None:
    """Have the host's database belong to whom the manifest says."""
    files.own(Path(database.path), *_ownership(database))


def _ownership(database: KeptDatabase) -> tuple[tuple[int, int], int]:
    return (database.owner, database.group), int(database.mode, 8)


def remember_restore(point: Path) -> None:
    """From here on the database is as the point says, or newer because the hub serves again."""
    if not _was_restored(point):
        files.write(_restored_file(point), json.dumps({"recovery_point": point.name}).encode())


def forget_restore(point: Path) -> None:
    """Something new begins: the present database counts for itself again."""
    if _restored_file(point).exists():
        _restored_file(point).unlink()
        files.sync(_restored_file(point).parent)


def described(database: KeptDatabase | sqlite.Inspection) -> str:
    """What a database is, kept or not, for people."""
    return f"revision {database.revision}, {sum(database.rows.values())} rows"


def described_on_host(database: KeptDatabase) -> str:
    """The same of the host's database."""
    path = Path(database.path)
    if not path.exists():
        return "missing"
    try:
        found = sqlite.inspect(path, LOCK_SECONDS)
    except HubError as error:
        return error.message
    return described(found)


def _fingerprint(database: Path) -> dict[str, str] | None:
    """What a stopped SQLite database is on disk: the SHA-256 of its file and of what lies beside it."""
    real = Path(os.path.realpath(database))
    if not real.is_file():
        return None
    parts = {"": real, **{suffix: Path(f"{real}{suffix}") for suffix in ("-wal", "-journal")}}
    return {suffix or "file": files.sha256(path) for suffix, path in parts.items() if path.is_file()}


def _revision(path: Path, otherwise: str | None) -> str | None:
    """The database's revision; ``otherwise`` where it cannot be read now, as when somebody has it locked."""
    try:
        return sqlite.inspect(path, LOCK_SECONDS).revision
    except HubError:
        return otherwise


def _restored_file(point: Path) -> Path:
    return point.parents[1] / RESTORED


def _was_restored(point: Path) -> bool:
    try:
        return bool(json.loads(_restored_file(point).read_bytes())["recovery_point"] == point.name)
    except (FileNotFoundError, ValueError, KeyError):
        return False
