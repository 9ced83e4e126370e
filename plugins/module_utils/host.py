"""What a plan has to know of the host besides the deployment: room, permission, interpreters."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from . import state
from .environment import all_packages
from .upgrade import Host


def look(deployment: dict[str, Any], base: str | None, python: str) -> Host:
    """Read the host, and write nothing. ``python`` is an interpreter that somebody wants to use, or ''."""
    folder = state.state_folder(deployment, base)
    environments = [entry["path"].rstrip("/") for entry in _environments(deployment)]
    parents = {str(Path(path).parent) for path in environments}
    must_write = [*parents, *environments, str(folder)]
    folders = {*parents, str(folder)}
    if deployment["database"]["path"]:
        database = Path(deployment["database"]["path"])
        must_write += [str(database), str(database.parent)]
        folders.add(str(database.parent))
    return Host(
        root=os.geteuid() == 0,
        user=getpass.getuser(),
        state_folder=str(folder),
        free_bytes={path: shutil.disk_usage(_existing(Path(path))).free for path in folders},
        environment_bytes={path: _bytes(Path(path)) for path in environments},
        not_writable=[
            path for path in dict.fromkeys(must_write) if not os.access(_existing(Path(path)), os.W_OK)
        ],
        python_versions={python: _python_version(python)} if python else {},
        installed={path: all_packages(path) for path in environments},
    )


def _environments(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    return [deployment["hub_environment"], *deployment["user_environments"]]


def _existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    return path if path.exists() else _existing(path.parent)


def _bytes(folder: Path) -> int:
    """Bytes that the files below ``folder`` hold."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except PermissionError:
            continue
    return total


def _python_version(python: str) -> str:
    """The version of an interpreter, '' where it does not run."""
    code = "import platform; print(platform.python_version())"
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
