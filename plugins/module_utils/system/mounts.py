"""Where file systems are mounted, by ``/proc/self/mountinfo`` (proc(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

#: A blank is written as ``\\040``.
_ESCAPED = re.compile(r"\\([0-7]{3})")
_TABLE = Path("/proc/self/mountinfo")


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    kind: str
    """``ext4``, ``nfs4``, ..."""


def mounts() -> list[Mount]:
    """Those of this host, as far as this process sees them, in their order."""
    return parsed(_TABLE.read_text(errors="replace"))


def parsed(table: str) -> list[Mount]:
    found = []
    for line in table.splitlines():
        fields, _dash, rest = line.partition(" - ")
        words = fields.split()
        if len(words) >= 5 and rest:
            found.append(Mount(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), words[4]), rest.split()[0]))
    return found


def of_path(path: Path, known: list[Mount]) -> Mount | None:
    """The file system that a path is on."""
    real = os.path.realpath(path)
    around = [each for each in known if _is_within(real, each.point)]
    # Of two at one point the later one hides the other.
    return max(reversed(around), key=lambda each: len(each.point), default=None)


def within(folder: str, known: list[Mount]) -> list[str]:
    """Points of a folder at which something is mounted, the folder itself among them."""
    root = os.path.realpath(folder)
    return [each.point for each in known if _is_within(each.point, root)]


def _is_within(path: str, folder: str) -> bool:
    return (path + "/").startswith(folder.rstrip("/") + "/")
