"""The room that a restore needs, taken before the outage: what fills the disk meanwhile cannot prevent it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import files
from .errors import HubError

SUFFIX = ".hubops-reserve"
#: What a restore writes besides the database: config and secrets.
SPARE_BYTES = 1024 * 1024


def reserve(database: dict[str, Any]) -> None:
    """Take the room for a second copy of a manifest's ``database``, beside the database itself.

    May be called again. Raises HubError, with nothing left, when there is no room.
    """
    path = reserve_file(database)
    current = path.with_name(path.name[: -len(SUFFIX)])
    size = max(database["bytes"], current.stat().st_size if current.exists() else 0) + SPARE_BYTES
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        files.sync(path.parent)
    except OSError as error:
        release(database)
        raise HubError(
            f"{path.parent} has no room for a second copy of the database, {size:,} bytes: {error.strerror}.",
            "The way back needs it. Make room there.",
        ) from error


def release(database: dict[str, Any]) -> None:
    """Give the room up. May be called again."""
    path = reserve_file(database)
    if path.exists():
        path.unlink()
        files.sync(path.parent)


def reserve_file(database: dict[str, Any]) -> Path:
    """Where the room is kept: beside the file that the database's path leads to."""
    return Path(f"{os.path.realpath(database['path'])}{SUFFIX}")
