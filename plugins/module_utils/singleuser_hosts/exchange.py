"""Exchanges the environments of another host of single-user servers, and restores the old ones.

The host follows its hub: what has not been kept or restored by the run is settled by the version that the
hub runs, by the next run or by the host's own guard.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ..environments import as_owner, transitions
from ..environments.installer import InstallerOptions
from ..environments.planned import PlannedEnvironment
from ..environments.staging import remove_staged
from ..errors import HubError
from ..progress import Progress
from ..runs import guard, journal
from ..system import state
from .record import KEPT, RESTORED, SWITCHED, Record, present, read, write

_NONE = InstallerOptions()


def switch(folder: Path, wanted: Record, program: ModuleType) -> dict[str, Any]:
    """Put the new environments in place, with a guard that restores the old ones without the controller.

    ``program`` is the guard's. Raises HubError, with the old ones in place, where one is not staged or cannot
    be exchanged.
    """
    with _locked(folder) as before:
        same = before is not None and before.recovery_point == wanted.recovery_point
        if before and before.phase == SWITCHED and not same:
            raise HubError(
                f"An earlier upgrade of this host, of {before.at}, has not ended.",
                "Run the upgrade again: it ends that one first.",
            )
        if before and same and before.phase == KEPT:
            return {"changed": False, "phase": KEPT}
        if before and before.phase == KEPT:
            wanted = replace(wanted, earlier=replace(before, earlier=None))
        elif before:
            wanted = replace(wanted, earlier=before.earlier)
        record = present(replace(wanted, reaches_hub=wanted.hub_version() is not None))
        record = write(folder, record, SWITCHED)
        try:
            guard.install(folder, [each.path for each in record.environments], program)
            _apply("switched", record)
        except HubError:
            _restore(folder, record)
            raise
        return {"changed": True, "phase": SWITCHED, "reaches_hub": record.reaches_hub}


def keep(folder: Path, recovery_point: str) -> dict[str, Any]:
    """Keep the new environments for good. Raises HubError where they are not in place."""
    with _locked(folder) as record:
        if record is None or record.recovery_point != recovery_point or record.phase == RESTORED:
            raise HubError(
                "The old environments are in place.",
                "Run the upgrade again: it upgrades what is missing, without an outage.",
            )
        changed = record.phase != KEPT
        _keep(folder, record)
        return {"changed": changed, "phase": KEPT}


def restore(folder: Path, recovery_point: str, staged: Sequence[PlannedEnvironment] = ()) -> dict[str, Any]:
    """Have the old environments in place that this recovery point's switch has replaced.

    ``staged`` are those of an upgrade, whose staged copies are removed as well.
    """
    with _locked(folder) as record:
        phase, changed = "", False
        if record and record.recovery_point == recovery_point:
            changed, phase = record.phase != RESTORED, RESTORED
            if changed:
                _restore(folder, record)
            staged = record.environments
        if staged:
            done = transitions.apply("absent", staged, recovery_point, _NONE, Progress())
            changed = changed or done["changed"]
        return {"changed": changed, "phase": phase}


def settle(folder: Path) -> dict[str, Any]:
    """End what an earlier run has left, as its hub's version says.

    Raises HubError where that is not known.
    """
    with _locked(folder) as record:
        if record is None or record.phase != SWITCHED:
            return {"changed": False, "phase": record.phase if record else ""}
        wanted = decide(record)
        if not wanted:
            raise HubError(
                f"An upgrade of this host, of {record.at}, has not ended, and the hub does not answer "
                f"{' or '.join(record.hub_urls)}.",
                "Start the hub, or have this host reach it.",
            )
        (_keep if wanted == KEPT else _restore)(folder, record)
        return {"changed": True, "phase": wanted}


def decide(record: Record) -> str:
    """What becomes of new environments nobody cares for: `KEPT`, `RESTORED`, or '' while the hub is away.

    A hub that never answered this host cannot be followed: then the old ones are restored.
    """
    version = record.hub_version()
    if version is None:
        return "" if record.reaches_hub else RESTORED
    return KEPT if version == record.to_version else RESTORED


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[Record | None]:
    """The record of this host, which no other process changes meanwhile."""
    state.make_private(folder)
    with journal.lock(folder):
        yield read(folder)


def _keep(folder: Path, record: Record) -> None:
    _apply("switched", record)
    for path in record.earlier.kept_paths if record.earlier else ():
        as_owner.do(path, _remove, path)
    write(folder, replace(record, earlier=None), KEPT)
    guard.remove(folder)


def _remove(progress: Progress, path: str) -> None:
    remove_staged(path)


def _restore(folder: Path, record: Record) -> None:
    """The upgrade before is the last one again, and can still be undone."""
    _apply("restored", record)
    if record.earlier:
        write(folder, record.earlier, KEPT)
    else:
        write(folder, record, RESTORED)
    guard.remove(folder)


def _apply(wanted: str, record: Record) -> None:
    transitions.apply(wanted, record.environments, record.recovery_point, _NONE, Progress())
