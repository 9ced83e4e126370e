"""Files that say which process does something, and whether it still does."""

from __future__ import annotations

import os
from pathlib import Path

from .processes import birth, is_alive


def identity() -> str:
    """This process's number and birth, as `recorded_in` reads them from a file."""
    return f"{os.getpid()} {birth(os.getpid())}"


def recorded_in(path: Path) -> int | None:
    """The process whose `identity` a file has; None where it has ended or there is no such file."""
    try:
        return alive(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def alive(recorded: str) -> int | None:
    """The process that has this `identity`; None where it has ended, or the text is none."""
    try:
        pid, born = recorded.split()
        return int(pid) if is_alive(int(pid)) and birth(int(pid)) == born else None
    except ValueError:
        return None
