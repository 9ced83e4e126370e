"""Files that a hub's output goes to: where they ended at a moment, and what came after it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Dict, List

from ..system.processes import Process

#: ``{path: [inode, offset]}``
Mark = Dict[str, List[int]]

#: How JupyterHub begins a line: ``[I 2026-11-20 21:37:29.123 JupyterHub app:2859]``.
_STAMP = re.compile(rb"\[[DIWEC] (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) ")
_STANDARD_ERROR = 2


def of_process(process: Process) -> str | None:
    """The file that a process writes its log to; None where that is a pipe, a socket or not ours to see."""
    try:
        path = os.readlink(process.folder / "fd" / str(_STANDARD_ERROR))
    except OSError:
        return None
    return path if os.path.isfile(path) else None


def mark(paths: Iterable[str]) -> Mark:
    """The present ends of these files."""
    return {
        path: [status.st_ino, status.st_size] for path, status in ((each, os.stat(each)) for each in paths)
    }


def mark_at(paths: Iterable[str], moment: float) -> Mark:
    """Where these files were at a moment, in seconds since the epoch."""
    return {path: [os.stat(path).st_ino, _offset_of(path, moment)] for path in paths}


def since(paths: Iterable[str], before: Mark) -> list[str]:
    """The lines of these files since a mark, also of one that was rotated meanwhile."""
    lines: list[str] = []
    for path in paths:
        inode, offset = before.get(path, [0, 0])
        if os.stat(path).st_ino == inode:
            lines += _lines(path, offset)
            continue
        # The part already read is in the newest backup now.
        rotated = f"{path}.1"
        if os.path.exists(rotated) and os.stat(rotated).st_ino == inode:
            lines += _lines(rotated, offset)
        lines += _lines(path, 0)
    return lines


def _offset_of(path: str, moment: float) -> int:
    """Where the first line begins that the hub has stamped with ``moment`` or later; the end without one."""
    with Path(path).open("rb") as log:
        offset = 0
        for line in log:
            stamp = _STAMP.match(line)
            # Stamps are local time, in milliseconds.
            if stamp and datetime.fromisoformat(stamp[1].decode()).timestamp() >= moment - 0.001:
                return offset
            offset += len(line)
    return offset


def _lines(path: str, offset: int) -> list[str]:
    with Path(path).open(encoding="utf-8", errors="replace") as log:
        log.seek(offset)
        return log.read().splitlines()
