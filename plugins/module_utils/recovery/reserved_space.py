"""The room that a restore needs, taken before the outage: what fills the disk meanwhile cannot prevent it.

It is a folder: a file of as many bytes, and empty files, since a disk may also run out of inodes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..errors import HubError
from ..system import files
from .manifest import KeptDatabase

SUFFIX = ".hubops-reserve"
#: In the state folder, for what is set aside there, and for notes of what has been done.
NAME = "reserve"
#: What a restore writes besides the database: config, secrets, the failed hub's log.
SPARE_BYTES = 4 * 1024 * 1024
#: The files and folders that it makes for that, those in place and those set aside, and a good many more.
SPARE_FILES = 128


def reserve(state_folder: Path, database: KeptDatabase) -> None:
    """Take the room for a second copy of a manifest's ``database``, beside the database itself.

    In the state folder, too, if that is on another file system: the replaced database is copied there. May be
    called again. Raises HubError, with nothing left, when there is no room.
    """
    beside = beside_database(database)
    current = Path(os.path.realpath(database.path))
    size = max(database.bytes, current.stat().st_size if current.exists() else 0) + SPARE_BYTES
    apart = state_folder.stat().st_dev != beside.parent.stat().st_dev
    try:
        _take(beside, size)
        _take(state_folder / NAME, size if apart else SPARE_BYTES)
    except HubError:
        release(state_folder, database)
        raise


def release(state_folder: Path, database: KeptDatabase) -> None:
    """Give all the room up. May be called again."""
    release_aside(state_folder)
    release_beside(database)


def release_aside(state_folder: Path) -> None:
    """Give up the room in the state folder."""
    _remove(state_folder / NAME)


def release_beside(database: KeptDatabase) -> None:
    """Give up the room beside the database."""
    _remove(beside_database(database))


def beside_database(database: KeptDatabase) -> Path:
    """Where the room is kept: beside the file that the database's path leads to."""
    return Path(f"{os.path.realpath(database.path)}{SUFFIX}")


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
            f"{folder.parent} has no room for the way back, {size:,} bytes in {SPARE_FILES} files: "
            f"{error.strerror}.",
            "Make room there.",
        ) from error


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
        files.sync(folder.parent)
