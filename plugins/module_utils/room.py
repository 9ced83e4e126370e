"""The room that a restore needs, taken before the outage: what fills the disk meanwhile cannot prevent it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import files
from .errors import HubError

SUFFIX = ".hubops-reserve"
#: In the state folder, for what is set aside there, and for notes of what has been done.
NAME = "reserve"
#: What a restore writes besides the database: config, secrets, the failed hub's log.
SPARE_BYTES = 4 * 1024 * 1024


def reserve(state_folder: Path, database: dict[str, Any]) -> None:
    """Take the room for a second copy of a manifest's ``database``, beside the database itself.

    In the state folder, too, if that is on another file system: the replaced database is copied there. May be
    called again. Raises HubError, with nothing left, when there is no room.
    """
    file = reserve_file(database)
    current = Path(os.path.realpath(database["path"]))
    size = max(database["bytes"], current.stat().st_size if current.exists() else 0) + SPARE_BYTES
    apart = state_folder.stat().st_dev != file.parent.stat().st_dev
    try:
        _take(file, size)
        _take(state_folder / NAME, size if apart else SPARE_BYTES)
    except HubError:
        release(state_folder, database)
        raise


def release(state_folder: Path, database: dict[str, Any]) -> None:
    """Give all the room up. May be called again."""
    release_aside(state_folder)
    release_beside(database)


def release_aside(state_folder: Path) -> None:
    """Give up the room in the state folder."""
    _remove(state_folder / NAME)


def release_beside(database: dict[str, Any]) -> None:
    """Give up the room beside the database."""
    _remove(reserve_file(database))


def reserve_file(database: dict[str, Any]) -> Path:
    """Where the room is kept: beside the file that the database's path leads to."""
    return Path(f"{os.path.realpath(database['path'])}{SUFFIX}")


def _take(path: Path, size: int) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        files.sync(path.parent)
    except OSError as error:
        raise HubError(
            f"{path.parent} has no room for the way back, {size:,} bytes: {error.strerror}.",
            "Make room there.",
        ) from error


def _remove(path: Path) -> None:
    if path.exists():
        path.unlink()
        files.sync(path.parent)
