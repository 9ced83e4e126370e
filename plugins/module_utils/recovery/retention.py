"""Which recovery points have had their time, and how one is removed with all that belongs to it."""

from __future__ import annotations

import contextlib
import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterable

from ..errors import HubError
from ..system import files, state
from . import kept_database, kept_environments, manifest

#: A manifest under this name: the point is no more, and what belongs to it has yet to go.
DISCARDED = "manifest.discarded.json"
#: Phases of a run that is over (``runs.py``): it needs its recovery point no more than others do.
OVER = ("accepted", "restored", "ended")


def surplus(folder: Path, keep: int, keep_days: int = 0) -> list[Path]:
    """The recovery points of a folder that have had their time, oldest first.

    All but the newest ``keep``, and those older than ``keep_days`` days (0: of any age). Those of one run,
    such as the one before an upgrade and the first one after it, count as one. Never the newest, and never
    the one that a run which is not over would restore.
    """
    points = manifest.listed(folder)
    makers = {point: _maker(point) for point in points}
    newest_first = list(dict.fromkeys(makers[point] for point in reversed(points)))
    needed = needed_by_run(folder.parent)
    newest = [point for point in points if makers[point] in newest_first[:1]]
    old = [point for point in points if keep_days and _age(point) > timedelta(days=keep_days)]
    too_many = [point for point in points if makers[point] in newest_first[max(keep, 0) :]]
    return [point for point in points if point in [*old, *too_many] and point not in [*newest, needed]]


def needed_by_run(state_folder: Path) -> Path | None:
    """The recovery point that a run which is not over would restore; None where there is no such run."""
    try:
        run = json.loads(state.run_file(state_folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HubError(f"{state.run_file(state_folder)} cannot be read: {error}.") from error
    return None if run["phase"] in OVER else Path(run["recovery_point"])


def prune(folder: Path, keep: int, keep_days: int = 0) -> list[Path]:
    """Remove the `surplus` and what removals that were cut off have left; return the points removed."""
    removed = surplus(folder, keep, keep_days)
    for point in removed:
        _discard(point)
    for half_removed in folder.glob(f"*/{DISCARDED}"):
        _discard(half_removed.parent)
    for half_made in folder.glob("*/"):
        if not (half_made / manifest.MANIFEST).exists() and _age(half_made) > timedelta(days=1):
            shutil.rmtree(half_made, ignore_errors=True)
    return removed


def remove(point: Path) -> bool:
    """Remove one recovery point and the environments that only it needs; return whether there was one.

    Raises HubError when a run that is not over would restore it.
    """
    if not point.is_dir():
        return False
    if point == needed_by_run(point.parents[1]):
        raise HubError(f"{point} is the recovery point of a run that is not over.", "Let it end first.")
    _discard(point)
    return True


def _discard(point: Path) -> None:
    discarded = point / DISCARDED
    if not discarded.exists() and (point / manifest.MANIFEST).exists():
        files.rename(point / manifest.MANIFEST, discarded)
    if discarded.exists():
        _discard_outside(point)
        kept_environments.remove_unneeded(_environments(point), point.parent)
    for path in point.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path != discarded:
            path.unlink()
    shutil.rmtree(point, ignore_errors=True)


def _discard_outside(point: Path) -> None:
    """Remove what the point has elsewhere. Raises HubError when that cannot be reached: it is tried again."""
    try:
        found = manifest.read(point, DISCARDED)
    except HubError:
        return  # too damaged to tell what belongs to it
    kept_database.of_manifest(point, found).discard(point, found.database)


def _environments(point: Path) -> Iterable[manifest.KeptEnvironment]:
    try:
        return manifest.read(point, DISCARDED).environments
    except HubError:
        return ()  # too damaged to tell what belongs to it


def _maker(point: Path) -> str:
    """What a point counts with: its run's id, or itself alone."""
    with contextlib.suppress(HubError):  # it may be too damaged to be read
        return manifest.read(point).run.get("id") or point.name
    return point.name


def _age(point: Path) -> timedelta:
    """How long ago a point was made; none where its name does not tell."""
    at = manifest.made_at(point)
    return datetime.now(timezone.utc) - at if at else timedelta()
