"""Locations: where kept folders are, and how they are restored to their places.

An environment is identified by its content and never by its location: by the identity from its staging, and
by its version. So any recovery point's environment is found again, whatever upgrades and restores have
exchanged since, and from wherever one of them was interrupted.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Iterable

from ..errors import HubError
from ..system import siblings
from ..system.exchange import aside_of, exchange, move
from .base import Recorded
from .kept import KeptEnvironment
from .packages import installed_version
from .staging import UNMARKED, environment_id, read_marker, remove_staged
from .switching import aside_path

#: Endings of what is half-made or half-removed.
UNFIT = (".partial", ".removing")


def find(entry: KeptEnvironment) -> Path | None:
    """The folder that holds the environment of a manifest's entry now; its own place comes first."""
    return next((path for path in _candidates(entry) if _is(path, entry)), None)


def restore(entry: KeptEnvironment, recorded: Recorded) -> None:
    """Restore the environment of a manifest's entry to its place; see `Environment.restore`."""
    place = Path(entry.path)
    _settle(entry, recorded)
    found = find(entry)
    if found is None:
        raise HubError(
            f"The environment {entry.aside} of {entry.path} is gone.",
            "Whoever has moved it has to put it back there; then restore again.",
        )
    if found != place:
        if os.path.lexists(place):
            exchange(place, found)
        else:
            move(found, place)
        _move_home(found, entry, recorded)
    tidy(entry, recorded)


def tidy(entry: KeptEnvironment, recorded: Recorded) -> None:
    """Rename environments that interrupted restores have left under the name of another one."""
    place = entry.path
    for path in map(Path, _beside(place, "before")):
        other = recorded.get(path.name.partition(".before-")[2])
        if other and not _is(path, other):
            _move_home(path, entry, recorded)


def remove_unneeded(entry: KeptEnvironment, recorded: Iterable[KeptEnvironment]) -> None:
    """Remove the environment of a recovery point that is no more, but not one that another point has."""
    needed = list(recorded)
    for path in [Path(each) for kind in ("before", "replaced") for each in _beside(entry.path, kind)]:
        belongs = str(path) == entry.aside or _is(path, entry) or path.name.endswith(".removing")
        if belongs and not any(_is(path, each) for each in needed):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_symlink():
        siblings.remove(path)  # its target belongs to the administrator
        return
    removing = path if path.name.endswith(".removing") else path.with_name(f"{path.name}.removing")
    if removing != path:
        siblings.rename(path, removing)  # half of an environment is never taken for one
    siblings.remove_what_can_be(removing)


def _candidates(entry: KeptEnvironment) -> list[Path]:
    """Every place where an environment of this path may stand."""
    place = entry.path
    others = [path for kind in ("before", "replaced", "staged") for path in _beside(place, kind)]
    named = [place, entry.aside, *(path for path in others if not path.endswith(UNFIT))]
    return [Path(path) for path in dict.fromkeys([*named, str(aside_of(Path(place)))])]


def _beside(place: str, kind: str) -> list[str]:
    return sorted(glob.glob(f"{glob.escape(place)}.{kind}-*"))


def _is(path: Path, entry: KeptEnvironment) -> bool:
    """Whether the environment of the entry is at ``path``."""
    if not path.is_dir() or environment_id(path) != entry.environment_id:
        return False
    if entry.environment_id == UNMARKED and not _may_be_unmarked(path, entry.path):
        return False
    return _version(path) == entry.jupyterhub


def _may_be_unmarked(path: Path, place: str) -> bool:
    """What is staged gets its marker last: without one it is half-made, or was just taken out of place."""
    if str(path) not in _beside(place, "staged"):
        return True
    successor = read_marker(place)
    return successor.get("staged_path") == str(path) and successor.get("replaces") == UNMARKED


def _version(path: Path) -> str | None:
    try:
        return installed_version(path, "jupyterhub")
    except HubError:
        return None


def _settle(entry: KeptEnvironment, recorded: Recorded) -> None:
    """Free the name that an exchange by renames uses while it is under way."""
    place = Path(entry.path)
    between = aside_of(place)
    if os.path.lexists(between):
        if os.path.lexists(place):
            _move_home(between, entry, recorded)
        else:
            move(between, place)


def _move_home(path: Path, entry: KeptEnvironment, recorded: Recorded) -> None:
    """Give what stands at ``path``, in the entry's way, the name under which it will be looked for."""
    if not os.path.lexists(path):
        return
    home = _home(path, entry, recorded)
    if home == path:
        return
    if os.path.lexists(home) and _is_disposable(home, entry.path, recorded):
        remove_staged(home)
    target, number = home, 1
    while os.path.lexists(target):
        number += 1
        target = home.with_name(f"{home.name}.{number}")
    move(path, target)


def _home(path: Path, entry: KeptEnvironment, recorded: Recorded) -> Path:
    for recovery_point_id, each in reversed(list(recorded.items())):
        if _is(path, each):
            return Path(aside_path(entry.path, recovery_point_id))
    staged_path = read_marker(path).get("staged_path")
    # One that was neither staged nor recorded: it keeps the name of the restore that took it out.
    return Path(staged_path or entry.aside.replace(".before-", ".replaced-by-"))


def _is_disposable(path: Path, place: str, recorded: Recorded) -> bool:
    """Whether what stands at a name for staged environments is in no recovery point."""
    is_recorded = any(_is(path, each) for each in recorded.values())
    return str(path) in _beside(place, "staged") and not is_recorded
