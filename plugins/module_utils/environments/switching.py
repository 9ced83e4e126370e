"""Switching: the staged environments take the old ones' place, and give it back.

Which environment is in place is read from the markers of those that are there, never remembered. So both
directions can be called again from wherever an earlier call was interrupted.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..errors import HubError
from ..progress import Progress
from ..system import siblings
from ..system.exchange import exchange, finish_exchange, move
from . import links
from .installer import Installer
from .packages import installed_version
from .planned import Planned, PlannedEnvironment
from .relocation import fit, inodes
from .staging import environment_id, read_marker, remove_staged, write_marker

OLD = "old"
NEW = "new"


@dataclass(frozen=True)
class Situation:
    """Which environment is in place, and where the other one is; None when there is no other."""

    in_place: str  # old or new
    aside: Path | None


def aside_path(path: str, recovery_point_id: str) -> str:
    """Where the old environment is after the switch."""
    return f"{path}.before-{recovery_point_id}"


def situation(entry: PlannedEnvironment, recovery_point_id: str) -> Situation:
    """Tell from the markers which environment of a plan's entry is in place.

    Raises HubError when the new environment is in place and the old one is gone.
    """
    place = Path(entry.path)
    here = read_marker(place)
    for aside in (_before(entry, recovery_point_id), Path(entry.staged_path)):
        if not aside.is_dir():
            continue
        there = read_marker(aside)
        if here and here["replaces"] == environment_id(aside):
            return Situation(NEW, aside)
        if there and there["replaces"] == environment_id(place):
            return Situation(OLD, aside)
    version = installed_version(place, "jupyterhub")
    if here and here["staged_path"] == entry.staged_path and version != entry.jupyterhub:
        raise HubError(
            f"{place} has JupyterHub {version}, and the environment it replaced is gone.",
            f"It would be {_before(entry, recovery_point_id)}.",
        )
    return Situation(OLD, None)


def is_switched(entry: PlannedEnvironment, recovery_point_id: str) -> bool:
    """Whether the new environment is in place and the old one where it belongs; nothing is changed."""
    if not os.path.lexists(entry.path):
        return False
    found = situation(entry, recovery_point_id)
    complete = read_marker(entry.path).get("complete", False)
    return found == Situation(NEW, _before(entry, recovery_point_id)) and complete


def is_restored(entry: PlannedEnvironment, recovery_point_id: str) -> bool:
    """Whether the old environment is in place; nothing is changed."""
    return os.path.lexists(entry.path) and situation(entry, recovery_point_id).in_place == OLD


def require_staged(entry: PlannedEnvironment, recovery_point_id: str) -> None:
    """Raise HubError where nothing is staged; finishes an exchange that was interrupted."""
    _settle(entry, recovery_point_id)
    if not entry.in_place and situation(entry, recovery_point_id) == Situation(OLD, None):
        raise HubError(f"{entry.staged_path} is not staged for {entry.path}.", "Stage it first.")


def switch(
    entry: PlannedEnvironment,
    recovery_point_id: str,
    installer_for: Callable[[str], Installer],
    progress: Progress,
) -> None:
    """Put the new environment in place and keep the old one aside; see `require_staged`.

    ``installer_for`` gives the installer of an environment; it is asked only for one upgraded in place.
    """
    if entry.in_place:
        _switch_in_place(entry, recovery_point_id, installer_for(entry.path), progress)
    else:
        _switch(entry, recovery_point_id)


def switch_back(entry: PlannedEnvironment, recovery_point_id: str) -> bool:
    """Put the old environment in place, the new one where it was staged; return whether that was a change.

    Right from any half-way point of `switch`, of itself, and when nothing has been switched.
    """
    _settle(entry, recovery_point_id)
    place, staged = Path(entry.path), Path(entry.staged_path)
    found = situation(entry, recovery_point_id)
    was_new = found.in_place == NEW
    if was_new and found.aside:
        exchange(place, found.aside)
    if found.aside and found.aside != staged:
        remove_staged(staged)
        move(found.aside, staged)
    return was_new


def remove_leftovers(entry: Planned, recovery_point_id: str, check: bool = False) -> bool:
    """Remove what staging has left beside the environment in place; return whether there was anything.

    Raises HubError instead of removing an old environment.
    """
    staged = Path(entry.staged_path)
    if (
        isinstance(entry, PlannedEnvironment)
        and os.path.lexists(staged)
        and situation(entry, recovery_point_id) == Situation(NEW, staged)
    ):
        raise HubError(
            f"{staged} holds the old environment: a switch was interrupted.",
            "Finish or restore the switch first.",
        )
    leftovers = [path for path in (staged, _partial(entry, recovery_point_id)) if os.path.lexists(path)]
    for path in leftovers if not check else []:
        remove_staged(path)
    return bool(leftovers)


def _settle(entry: PlannedEnvironment, recovery_point_id: str) -> None:
    """Finish an exchange that was interrupted where the file system needs several renames for it."""
    place, staged = Path(entry.path), Path(entry.staged_path)
    before = _before(entry, recovery_point_id)
    finish_exchange(place, before if os.path.lexists(staged) else staged)


def _switch(entry: PlannedEnvironment, recovery_point_id: str) -> None:
    place, staged = Path(entry.path), Path(entry.staged_path)
    before = _before(entry, recovery_point_id)
    found = situation(entry, recovery_point_id)
    if found.aside is None:
        raise AssertionError(f"Nothing stands beside {place}.")
    if found.in_place == OLD:
        exchange(place, found.aside)
    if found.aside == staged:
        move(staged, before)


def _switch_in_place(
    entry: PlannedEnvironment, recovery_point_id: str, installer: Installer, progress: Progress
) -> None:
    """Keep the old files under other names, then install over them.

    The installer replaces files and never writes into one, so the kept names keep the old content.
    """
    place, before = Path(entry.path), _before(entry, recovery_point_id)
    if not before.is_dir():
        partial = _partial(entry, recovery_point_id)
        remove_staged(partial)
        _link(place, partial)
        move(partial, before)
    conflicts = installer.check(str(before))
    marker = read_marker(place)
    if not marker or marker["replaces"] != environment_id(before):
        marker = {
            "id": uuid.uuid4().hex,
            "replaces": environment_id(before),
            "request": "",
            "path": str(place),
            "staged_path": entry.staged_path,
            "complete": False,
            "warnings": [],
        }
        write_marker(place, marker)
    progress(f"Installing {', '.join(entry.requirements)} into {place}")
    with links.confined(place, place):
        installer.install(str(place), entry.requirements, progress)
    marker["warnings"] = fit(entry, place, before, inodes(before), installer, conflicts)
    os.sync()
    write_marker(place, {**marker, "complete": True})


def _link(place: Path, copy: Path) -> None:
    siblings.prepare(copy)
    argv = ["cp", "--archive", "--link", "--no-target-directory", f"{place}/", str(copy)]
    process = subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace")
    if process.returncode:
        reason = process.stderr.strip().splitlines()[0]
        raise HubError(
            f"{place} cannot be kept aside as {copy}: {reason}",
            "Let its owner read all of it, and run as that user or as root.",
        )


def _before(entry: Planned, recovery_point_id: str) -> Path:
    return Path(aside_path(entry.path, recovery_point_id))


def _partial(entry: Planned, recovery_point_id: str) -> Path:
    return Path(f"{_before(entry, recovery_point_id)}.partial")
