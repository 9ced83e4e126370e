"""Control: which users of this host can put something else at a path.

Who may write a folder can replace what is in it at any moment, by a link to the folder of somebody else. So
what root does at a path is done for everybody who controls a part of it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

#: Stands for all users: a folder of root's that everybody may write.
ANYBODY = -1
#: linux/namei.h
_MOST_LINKS = 40


def controllers(path: str | Path) -> set[int]:
    """Numbers of the users, but root, who own what is at a path, or can replace it; `ANYBODY` for all.

    ``path`` is absolute. Links are followed, and who can replace one counts as well. A group that may write
    one of root's folders does not: root has chosen who is in it. What is not there is nobody's.
    """
    found: set[int] = set()
    around: os.stat_result | None = None
    for status in _way(str(path)):
        may_be_written = around is not None and stat.S_IMODE(around.st_mode) & stat.S_IWOTH
        if stat.S_ISLNK(status.st_mode):
            # In a folder such as /tmp a link is its owner's, elsewhere that of who may write the folder.
            if may_be_written:
                found.add(status.st_uid)
            continue
        found.add(status.st_uid)
        if _is_anybodys(status):
            found.add(ANYBODY)
        around = status
    return found - {0}


def _is_anybodys(status: os.stat_result) -> bool:
    is_folder = stat.S_ISDIR(status.st_mode)
    return is_folder and stat.S_IMODE(status.st_mode) & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH


def _way(path: str) -> Iterator[os.stat_result]:
    """All folders and links that the system comes by on the way to a path, and what is there."""
    pending, at, links = path.split("/")[::-1], "/", 0
    yield os.lstat(at)
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        here = os.path.join(at, name)
        try:
            found = os.lstat(here)
        except (FileNotFoundError, NotADirectoryError):
            return
        yield found
        if not stat.S_ISLNK(found.st_mode):
            at = here
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        at = "/" if target.startswith("/") else at
        pending.extend(target.split("/")[::-1])
