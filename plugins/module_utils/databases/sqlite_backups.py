"""The copies of a SQLite database in a recovery point."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import HubError
from ..system import files
from ..system.execution_context import ExecutionContext
from . import sqlite
from .facts import DatabaseBackup

#: The copies made while the hub serves and after it has stopped; the manifest names the one that counts.
NAMES = ("database.sqlite", "sealed.sqlite")
RESTORE_TEST = ".hubops-restore-test"


def make(database: Path, folder: Path, kind: str, timeout: float) -> DatabaseBackup:
    """Copy a database that is in use."""
    before = _fingerprint(database)
    copy = sqlite.backup(database, folder / NAMES[0], timeout=timeout)
    # Of no use where another process wrote meanwhile: it is unknown then which state was copied.
    source = before if _fingerprint(database) == before else None
    facts = database.stat()
    return DatabaseBackup(
        kind=kind,
        name=str(database),
        file=copy.path.name,
        sha256=copy.sha256,
        bytes=copy.bytes,
        revision=copy.revision,
        rows=copy.rows,
        sealed=False,
        particulars={
            "mode": f"{facts.st_mode & 0o7777:04o}",
            "owner": facts.st_uid,
            "group": facts.st_gid,
            "source": source,
        },
    )


def prepare_seal(folder: Path, backup: DatabaseBackup) -> None:
    """Lay out a second copy: of that, `seal` has to write only what has changed."""
    target = folder / _other_name(backup)
    with files.scratch(target) as part:
        try:
            shutil.copyfile(folder / backup.file, part)
            files.rename(part, target)
        except OSError as error:
            raise HubError(
                f"{folder} has no space for the last backup, {backup.bytes:,} bytes: {error.strerror}.",
                "Make space there.",
            ) from error


def seal(database: Path, folder: Path, backup: DatabaseBackup, timeout: float) -> DatabaseBackup:
    """Copy a database of a hub that has stopped."""
    target = folder / _other_name(backup)
    if sqlite.is_at_rest(database):
        copy = sqlite.refresh(target, database, timeout=timeout)
        # The same, byte for byte.
        source: dict[str, str] | None = {"file": copy.sha256}
    else:
        copy = sqlite.backup(database, target, timeout=timeout)
        source = _fingerprint(database)
    return replace(
        backup,
        file=copy.path.name,
        sha256=copy.sha256,
        bytes=copy.bytes,
        revision=copy.revision,
        rows=copy.rows,
        sealed=True,
        particulars={**backup.particulars, "source": source},
    )


def remove_other_copies(folder: Path, backup: DatabaseBackup) -> None:
    for name in NAMES:
        if name != backup.file and (folder / name).exists():
            (folder / name).unlink()


def is_as_backed_up(database: Path, backup: DatabaseBackup) -> bool:
    return _fingerprint(database) in (backup.particulars["source"], {"file": backup.sha256})


def ownership(backup: DatabaseBackup) -> tuple[tuple[int, int], int]:
    """Owner and group, and mode."""
    found = backup.particulars
    return (found["owner"], found["group"]), int(found["mode"], 8)


@contextlib.contextmanager
def restored_copy(
    database: Path, folder: Path, backup: DatabaseBackup, context: ExecutionContext
) -> Iterator[Path]:
    """A copy that the hub's user may write to. Its folder always has the same name: nothing can pile up."""
    scratch = Path(f"{os.path.realpath(database)}{RESTORE_TEST}")
    _remove(scratch)
    try:
        scratch.mkdir(mode=0o700)
        copy = scratch / "restore-test.sqlite"
        shutil.copyfile(folder / backup.file, copy)
        for path in (scratch, copy):
            os.chown(path, context.uid, context.gid)
        yield copy
    except OSError as error:
        raise HubError(
            f"There is no space beside {database} for a test of the restore: {error.strerror}.",
            "Make space there, or check the folder's owner and mode.",
        ) from error
    finally:
        _remove(scratch)


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _other_name(backup: DatabaseBackup) -> str:
    """The name that the manifest's copy does not have."""
    return next(name for name in NAMES if name != backup.file)


def _fingerprint(database: Path) -> dict[str, str] | None:
    """What a stopped SQLite database is on disk: the SHA-256 of its file and of what lies beside it."""
    real = Path(os.path.realpath(database))
    if not real.is_file():
        return None
    parts = {"": real, **{suffix: Path(f"{real}{suffix}") for suffix in ("-wal", "-journal")}}
    return {suffix or "file": files.sha256(path) for suffix, path in parts.items() if path.is_file()}
