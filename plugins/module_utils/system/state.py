"""Where a run keeps what must outlive it: one folder per deployment on the hub's host."""

from __future__ import annotations

import os
from pathlib import Path

from . import files

SYSTEM_FOLDER = Path("/var/lib/hubops")


def state_folder(name: str, base: str | None = None) -> Path:
    """The state folder of the deployment of that name: ``<base>/<name>``. It need not exist."""
    return base_folder(base) / name


def base_folder(base: str | None = None) -> Path:
    """The folder of all state folders.

    ``base`` where it is given, ``/var/lib/hubops`` for root, and for other users ``~/.local/state/hubops``
    (or ``$XDG_STATE_HOME/hubops``).
    """
    if base:
        return Path(base)
    if os.geteuid() == 0:
        return SYSTEM_FOLDER
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "hubops"


def hold_file(folder: Path) -> Path:
    """The file that keeps the hub down while it exists; its content says why."""
    return folder / "hold"


def recovery_folder(folder: Path) -> Path:
    """The folder that holds the recovery points, one folder each."""
    return folder / "recovery"


def released_file(folder: Path) -> Path:
    """The file that lets a held hub start until the next reboot, which clears the folder it is in."""
    return Path("/run/hubops") / f"{folder.name}.released"


def runs_folder(folder: Path) -> Path:
    """The folder that holds what is known of each run, one folder each."""
    return folder / "runs"


def run_file(folder: Path) -> Path:
    """The file that says which run changes the hub now, or did so last: lock and journal in one."""
    return folder / "run.json"


def heartbeat_file(folder: Path) -> Path:
    """The file with the time of the run's last heartbeat."""
    return folder / "heartbeat"


def lock_file(folder: Path) -> Path:
    """The file that a process locks while it changes the hub; its content is the process's number."""
    return folder / "lock"


def guard_folder(folder: Path) -> Path:
    """The folder with the program that restores the old hub without Ansible."""
    return folder / "guard"


def state_folders(base: str | None = None) -> list[Path]:
    """The state folders of all deployments of this host that have one."""
    return sorted(path for path in base_folder(base).glob("*/") if path.is_dir())


def make_private(folder: Path) -> None:
    """Make ``folder`` and its missing parents, durably, open to its owner alone."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)  # Another process may make it at the same time.
        files.sync(path.parent)
