"""The disk space that a restore needs, taken before the outage: no disk that fills up can prevent it.

It is a folder: a file of as many bytes, and empty files, since a disk may also run out of inodes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..databases.base import Database
from ..databases.facts import DatabaseBackup
from ..errors import HubError
from ..system import files

SUFFIX = ".hubops-reserve"
#: In the state folder, for what is set aside there, and for notes of what has been done.
NAME = "reserve"
#: What a restore writes besides the database: config, secrets, the failed hub's log.
SPARE_BYTES = 4 * 1024 * 1024
#: The files and folders that it makes for that, those in place and those set aside, and a good many more.
SPARE_FILES = 128


def reserve(state_folder: Path, database: Database, backup: DatabaseBackup) -> None:
    """Take the space for a second copy of the database, where a restore will write it.

    In the state folder, too, if that is on another file system: the replaced database is copied there. On the
    server, if one has the database. May be called again. Raises HubError, with nothing left, when there is no
    space.
    """
    needed = database.space_for_restore(backup)
    aside = SPARE_BYTES
    try:
        if needed:
            place, size = needed
            _take(_beside(place), size + SPARE_BYTES)
            if state_folder.stat().st_dev != place.parent.stat().st_dev:
                aside += size
        _take(state_folder / NAME, aside)
        database.reserve()
    except HubError:
        release(state_folder, database, backup)
        raise


def release(state_folder: Path, database: Database, backup: DatabaseBackup) -> None:
    """Release all the space. May be called again."""
    release_aside(state_folder)
    release_beside(database, backup)


def release_aside(state_folder: Path) -> None:
    """Release the space in the state folder."""
    _remove(state_folder / NAME)


def release_beside(database: Database, backup: DatabaseBackup) -> None:
    """Release the space for the database."""
    needed = database.space_for_restore(backup)
    if needed:
        _remove(_beside(needed[0]))
    database.release_reserve()


def _beside(place: Path) -> Path:
    return Path(f"{place}{SUFFIX}")


def _take(folder: Path, size: int) -> None:
    try:
        _remove(folder)
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder / "bytes", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for number in range(SPARE_FILES):
            (folder / f"file-{number}").touch(0o600)
        files.sync(folder)
        files.sync(folder.parent)
    except OSError as error:
        raise HubError(
            f"{folder.parent} has no space for a restore, {size:,} bytes in {SPARE_FILES} files: "
            f"{error.strerror}.",
            "Make space there.",
        ) from error


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
        files.sync(folder.parent)
