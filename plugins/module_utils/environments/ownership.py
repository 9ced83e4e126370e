"""Owners of what was made in an environment, whose folders another account may write meanwhile.

Who owns a folder can replace what is in it at any moment: by a link to the folder of somebody else, or by
another name of a file of theirs. So nothing is reached by its path but the environment's root.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Container

from ..errors import HubError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def own_tree(root: Path, owner: os.stat_result, made: Container[str] | None = None) -> None:
    """Make the environment's owner the owner of its root and of what was made in it, where we are root.

    ``made`` are paths relative to ``root``; without it, everything below is. A folder is handed over after
    what is in it, so that one which was ours is ours until then. A file that has further names is left: it is
    also somebody else's, or in a cache. Raises HubError where something was replaced meanwhile.
    """
    if os.geteuid() != 0:
        return
    try:
        at = os.open(root, _FOLDER)
        try:
            _own_below(at, "", owner, made)
            os.fchown(at, owner.st_uid, owner.st_gid)
        finally:
            os.close(at)
    except OSError as error:
        raise HubError(
            f"{root} cannot be given to its owner, something in it was replaced meanwhile: {error}.",
            "Stage again when nobody works in it.",
        ) from error


def _own_below(at: int, prefix: str, owner: os.stat_result, made: Container[str] | None) -> None:
    """Do so for what is in the folder that is open as ``at``; ``prefix`` is its path, with a slash."""
    with os.scandir(at) as entries:
        found = [(each.name, each.stat(follow_symlinks=False)) for each in entries]
    for name, status in found:
        mode = status.st_mode
        is_made = (made is None or prefix + name in made) and not _is_owners(status, owner)
        if stat.S_ISDIR(mode):
            folder = os.open(name, _FOLDER, dir_fd=at)
            try:
                _own_below(folder, f"{prefix}{name}/", owner, made)
                if is_made:
                    os.fchown(folder, owner.st_uid, owner.st_gid)
            finally:
                os.close(folder)
        elif is_made and stat.S_ISLNK(mode):
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=at, follow_symlinks=False)
        elif is_made and stat.S_ISREG(mode):
            own_file(name, owner, at)


def _is_owners(found: os.stat_result, owner: os.stat_result) -> bool:
    return (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid)


def own_file(path: str | Path, owner: os.stat_result, at: int | None = None) -> None:
    """Do so for one file, below the folder that is open as ``at``."""
    if os.geteuid() != 0:
        return
    file = os.open(path, _FILE, dir_fd=at)
    try:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.fchown(file, owner.st_uid, owner.st_gid)
    finally:
        os.close(file)
