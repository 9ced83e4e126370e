"""Where a run keeps what must outlive it: one folder per deployment on the hub's host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SYSTEM_FOLDER = Path("/var/lib/hubops")


def state_folder(deployment: dict[str, Any], base: str | None = None) -> Path:
    """The state folder of ``deployment``: ``<base>/<deployment name>``.

    ``base`` defaults to ``/var/lib/hubops`` for root, and for everybody else to ``~/.local/state/hubops`` (or
    ``$XDG_STATE_HOME/hubops``). The folder need not exist.
    """
    if base:
        folder = Path(base)
    elif os.geteuid() == 0:
        folder = SYSTEM_FOLDER
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "hubops"
    return folder / str(deployment["name"])


def hold_file(folder: Path) -> Path:
    """The file that keeps the hub down while it exists; its content says why."""
    return folder / "hold"


def recovery_folder(folder: Path) -> Path:
    """The folder that holds the recovery points, one folder each."""
    return folder / "recovery"


def runs_folder(folder: Path) -> Path:
    """The folder that holds what is known of each run, one folder each."""
    return folder / "runs"


def make_private(folder: Path) -> None:
    """Make ``folder`` and its missing parents, open to its owner alone."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700)
