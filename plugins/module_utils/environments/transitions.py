"""The environments of a plan, brought to a state: staged, switched, restored, or without leftovers."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Callable

from ..errors import HubError
from ..progress import Progress
from ..shapes import to_dict
from . import switching
from .installer import Installer, InstallerOptions
from .packages import all_packages
from .planned import IntermediateVersion, Planned, PlannedEnvironment
from .staging import is_staged, package_changes, stage


def apply(
    wanted: str,
    entries: Sequence[Planned],
    recovery_point_id: str,
    options: InstallerOptions,
    progress: Progress,
    check: bool = False,
) -> dict[str, Any]:
    """Bring the environments of a plan to a state and return the module's result.

    ``wanted`` is staged, switched, restored or absent; ``check`` only says what would change. Raises HubError
    as staging and switching do, and when another process works on one of the environments.
    """
    if wanted in ("switched", "restored") and not recovery_point_id:
        raise HubError(
            f"Environments cannot be {wanted} without a recovery point.", "Give its id in recovery_point_id."
        )

    with contextlib.nullcontext() if check else _alone(entries):
        return _apply(wanted, entries, recovery_point_id, options, progress, check)


@contextlib.contextmanager
def _alone(entries: Sequence[Planned]) -> Iterator[None]:
    """Keep other processes from the environments while this one works on them, or dies; no file is written.

    Staging goes on by itself when its controller is interrupted, and the next run would meet it half-way.
    """
    with contextlib.ExitStack() as stack:
        # An intermediate version has the hub's path, and a lock keeps out its own process, too.
        for path in {entry.path for entry in entries if os.path.isdir(entry.path)}:
            folder = os.open(path, os.O_RDONLY)
            stack.callback(os.close, folder)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HubError(
                    f"Another run works on {path} at this moment.", "Wait until it has ended, then try again."
                ) from None
            except OSError:
                continue  # A network file system that locks no folders.
        yield


def _apply(
    wanted: str,
    entries: Sequence[Planned],
    recovery_point_id: str,
    options: InstallerOptions,
    progress: Progress,
    check: bool,
) -> dict[str, Any]:
    def installer_for(path: str) -> Installer:
        return Installer(options, path, progress, may_build=not check)

    if wanted == "staged" and not check:
        done = _stage_side_by_side(entries, installer_for, progress)
    elif wanted == "staged":
        done = [_would_stage(entry, installer_for(entry.path)) for entry in entries]
    else:
        began = time.monotonic()
        if wanted != "absent":
            # One that a migration goes through is never in place.
            entries = exchanged = [entry for entry in entries if isinstance(entry, PlannedEnvironment)]
        before = [_packages(entry.path) for entry in entries]
        if wanted == "absent":
            changed = [switching.remove_leftovers(entry, recovery_point_id, check) for entry in entries]
        elif wanted == "switched" and check:
            changed = [not switching.is_switched(entry, recovery_point_id) for entry in exchanged]
        elif wanted == "switched":
            changed = switching.switch(exchanged, recovery_point_id, installer_for, progress)
        elif check:
            changed = [switching.switched([entry], recovery_point_id) for entry in exchanged]
        else:
            changed = switching.switch_back(exchanged, recovery_point_id)
        seconds = round(time.monotonic() - began, 3)
        done = [
            _result(entry, changes, packages, _packages(entry.path), seconds)
            for entry, changes, packages in zip(entries, changed, before)
        ]
        if wanted != "absent":
            for each in done:
                each["aside"] = switching.aside_path(each["path"], recovery_point_id)
    return {
        "changed": any(each["changed"] for each in done),
        "environments": done,
        "diff": [_diff(each) for each in done if each["changes"]],
    }


def _stage_side_by_side(
    entries: Sequence[Planned], installer_for: Callable[[str], Installer], progress: Progress
) -> list[dict[str, Any]]:
    """Stage all of them; each waits in turns for the index, the disk and its own Python."""
    # One after the other: the first may have to fetch the installer.
    installers = [installer_for(entry.path) for entry in entries]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        staged = pool.map(stage, entries, installers, itertools.repeat(progress))
        return [each.result() for each in staged]


def _would_stage(entry: Planned, installer: Installer) -> dict[str, Any]:
    staged = is_staged(entry, installer)
    if isinstance(entry, IntermediateVersion):
        new = replace(entry, path=entry.staged_path)
        return _result(new, not staged, {}, all_packages(new.path) if staged else {}, 0.0)
    before = all_packages(entry.path)
    after = all_packages(entry.staged_path) if staged else before
    return _result(entry, not staged and not entry.in_place, before, after, 0.0)


def _packages(path: str) -> dict[str, str]:
    """None are in place where an exchange by renames was interrupted."""
    return all_packages(path) if os.path.lexists(path) else {}


def _result(
    entry: Planned, changed: bool, before: dict[str, str], after: dict[str, str], seconds: float
) -> dict[str, Any]:
    return {
        "path": entry.path,
        "staged_path": entry.staged_path,
        "strategy": entry.strategy,
        "changed": changed,
        "packages_before": before,
        "packages_after": after,
        "changes": [to_dict(change) for change in package_changes(before, after)],
        "seconds": seconds,
        "warnings": [],
    }


def _diff(result: dict[str, Any]) -> dict[str, str]:
    header = f"{result['path']} packages"
    return {
        "before_header": header,
        "after_header": header,
        "before": _listed(result["packages_before"]),
        "after": _listed(result["packages_after"]),
    }


def _listed(packages: dict[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in sorted(packages.items()))
