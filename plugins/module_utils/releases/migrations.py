"""The migrations that a JupyterHub carries, read from its source: nothing is imported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Tuple

#: Each revision with those that it follows: one, none for the first, several where branches are merged.
Revisions = Dict[str, Tuple[str, ...]]

# As alembic's templates have written them: `revision = 'x'`, `revision: str = "x"`,
# `down_revision: Union[str, Sequence[str], None] = ("x", "y")`.
_ASSIGNMENT = re.compile(r"^(revision|down_revision)\b[^=\n]*=\s*(\([^)]*\)|.*)$", re.MULTILINE)
_ID = re.compile(r"['\"](\w+)['\"]")


def read_revisions(package: Path) -> Revisions:
    """The revisions that a jupyterhub package's folder knows; empty where it has none."""
    known: Revisions = {}
    for file in (package / "alembic" / "versions").glob("*.py"):
        found = {
            name: tuple(_ID.findall(value))
            for name, value in _ASSIGNMENT.findall(file.read_text(encoding="utf-8"))
        }
        for revision in found.get("revision", ()):
            known[revision] = found.get("down_revision", ())
    return known


def heads(known: Revisions) -> set[str]:
    """The revisions that no other follows."""
    return set(known) - {each for follows in known.values() for each in follows}


def history(known: Revisions, revision: str | None) -> set[str]:
    """A revision and all that lead to it; empty for None, which is before the first."""
    found: set[str] = set()
    pending = [revision] if revision else []
    while pending:
        each = pending.pop()
        if each not in found:
            found.add(each)
            pending += known.get(each, ())
    return found
