"""Locations: where the environments of recovery points stand, and how they get back into their places.

An environment is told by what it is and never by where it is: by the identity that its staging gave it, and
by its version. So any recovery point's environment is found again, whatever upgrades and restores have
exchanged since, and from wherever one of them was interrupted.
"""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path
from typing import Iterable

from ..environments.packages import installed_version
from ..environments.staging import UNMARKED, environment_id, read_marker, remove_staged
from ..environments.switching import aside_path
from ..errors import HubError
from ..system.exchange import aside_of, exchange, move
from . import manifest
from .manifest import KeptEnvironment

#: Endings of what is half-made or half-removed.
UNFIT = (".partial", ".removing")
#: Another environment is in place; the one of the entry stands elsewhere.
ELSEWHERE = "elsewhere"
#: In place.
HERE = "here"
#: Nowhere.
GONE = "gone"


def find(entry: KeptEnvironment) -> Path | None:
    """The folder that holds the environment of a manifest's entry now; its own place comes first."""
    return next((path for path in _candidates(entry) if _is(path, entry)), None)


def state_of(entry: KeptEnvironment) -> str:
    """Whether the environment of a manifest's entry is `HERE`, `ELSEWHERE` or `GONE`."""
    found = find(entry)
    if found is None:
        return GONE
    return HERE if found == Path(entry.path) else ELSEWHERE


def require(entries: Iterable[KeptEnvironment]) -> None:
    """Raise HubError that names every environment that is gone, with its identity."""
    gone = [
        f"the environment of {entry.path} with JupyterHub {entry.jupyterhub} is gone "
        f"(it would be {entry.aside})"
        for entry in entries
        if find(entry) is None
    ]
    if gone:
        raise HubError(f"Nothing can be restored: {'; '.join(gone)}.", "Nothing was touched.")


def restore(entry: KeptEnvironment, points: Path) -> bool:
    """Have the environment of a manifest's entry in its place; return whether that has changed anything.

    ``points`` is the folder of all recovery points. The environment that is taken out goes where the newest
    of them will look for it, or else where it was staged. May be interrupted and called again. Raises
    HubError when the environment is gone or the system refuses.
    """
    place = Path(entry.path)
    _settle(entry, points)
    found = find(entry)
    if found is None:
        require([entry])
        return False
    if found != place:
        if os.path.lexists(place):
            exchange(place, found)
        else:
            move(found, place)
        _move_home(found, entry, points)
    tidy(entry, points)
    return found != place


def tidy(entry: KeptEnvironment, points: Path) -> None:
    """Give what interrupted restores have left under the name of another environment its own one."""
    place = entry.path
    for path in map(Path, _beside(place, "before")):
        recorded = _recorded(points / path.name.partition(".before-")[2], place)
        if recorded and not _is(path, recorded):
            _move_home(path, entry, points)


def remove_unneeded(entries: Iterable[KeptEnvironment], points: Path) -> None:
    """Remove the environments of a recovery point that is no more, but not those that another point has."""
    for entry in entries:
        place = entry.path
        needed = [recorded for point in manifest.listed(points) if (recorded := _recorded(point, place))]
        for path in [Path(each) for kind in ("before", "replaced") for each in _beside(place, kind)]:
            belongs = str(path) == entry.aside or _is(path, entry) or path.name.endswith(".removing")
            if belongs and not any(_is(path, each) for each in needed):
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()  # where it leads was the administrator's before it was ours
        return
    removing = path if path.name.endswith(".removing") else path.with_name(f"{path.name}.removing")
    if removing != path:
        path.rename(removing)  # half of an environment is never taken for one
    shutil.rmtree(removing, ignore_errors=True)


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


def _settle(entry: KeptEnvironment, points: Path) -> None:
    """Free the name that an exchange by renames uses while it is under way."""
    place = Path(entry.path)
    between = aside_of(place)
    if os.path.lexists(between):
        if os.path.lexists(place):
            _move_home(between, entry, points)
        else:
            move(between, place)


def _move_home(path: Path, entry: KeptEnvironment, points: Path) -> None:
    """Give what stands at ``path``, in the entry's way, the name under which it will be looked for."""
    if not os.path.lexists(path):
        return
    home = _home(path, entry, points)
    if home == path:
        return
    if os.path.lexists(home) and _is_disposable(home, entry.path, points):
        remove_staged(home)
    target, number = home, 1
    while os.path.lexists(target):
        number += 1
        target = home.with_name(f"{home.name}.{number}")
    move(path, target)


def _home(path: Path, entry: KeptEnvironment, points: Path) -> Path:
    place = entry.path
    for point in reversed(manifest.listed(points)):
        recorded = _recorded(point, place)
        if recorded and _is(path, recorded):
            return Path(aside_path(place, point.name))
    staged_path = read_marker(path).get("staged_path")
    # One that nobody has staged and nobody has recorded: it keeps the name of the restore that took it out.
    return Path(staged_path or entry.aside.replace(".before-", ".replaced-by-"))


def _is_disposable(path: Path, place: str, points: Path) -> bool:
    """Whether what stands at a name for staged environments is in no recovery point."""
    recorded = (_recorded(point, place) for point in manifest.listed(points))
    return str(path) in _beside(place, "staged") and not any(each and _is(path, each) for each in recorded)


def _recorded(point: Path, place: str) -> KeptEnvironment | None:
    """What a recovery point says of the environment at ``place``; None where there is no such point."""
    try:
        entries = manifest.read(point).environments
    except HubError:
        return None
    return next((entry for entry in entries if entry.path == place), None)
