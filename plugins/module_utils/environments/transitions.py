"""The environments of a plan, changed to a state: staged, switched, restored, or without leftovers."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from ..errors import HubError
from ..progress import Progress
from ..shapes import to_dict
from ..system import files
from . import identical
from .base import Environment
from .installer import Installer, InstallerOptions
from .kinds import environment_of
from .planned import FAIL, IntermediateVersion, Planned, PlannedEnvironment
from .staged import package_changes


def apply(
    wanted: str,
    entries: Sequence[Planned],
    recovery_point_id: str,
    options: InstallerOptions,
    progress: Progress,
    check: bool = False,
    failures: str = FAIL,
) -> dict[str, Any]:
    """Change the environments of a plan to a state and return the module's result.

    ``wanted`` is staged, switched, restored or absent; ``check`` only says what would change. With
    ``failures`` `REPORT` a single-user environment that cannot be staged has its ``fault``. Raises HubError
    as staging and switching do, and when another process works on one of the environments.
    """
    if wanted in ("switched", "restored") and not recovery_point_id:
        raise HubError(
            f"Environments cannot be {wanted} without a recovery point.", "Give its id in recovery_point_id."
        )

    with contextlib.nullcontext() if check else alone(entries):
        return _apply(wanted, entries, recovery_point_id, options, progress, check, failures)


@contextlib.contextmanager
def alone(entries: Sequence[Planned]) -> Iterator[None]:
    """Keep other processes from the environments while this one works on them, or dies; no file is written.

    Staging continues when its controller is interrupted, and the next run would find it half done.
    """
    with contextlib.ExitStack() as stack:
        # An intermediate version has the hub's path, and a lock keeps out its own process, too.
        for path in {entry.path for entry in entries if os.path.isdir(entry.path)}:
            try:
                stack.enter_context(files.locked_folder(Path(path).resolve()))
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
    failures: str,
) -> dict[str, Any]:
    kinds = {entry.path: entry.kind for entry in entries}

    def installer_for(path: str) -> Installer:
        environment = environment_of(kinds[path], path)
        return environment.make_installer(options, path, progress, may_build=not check)

    if wanted == "staged" and not check:
        done = _stage_side_by_side(entries, installer_for, options.builder_folder, progress, failures)
    elif wanted == "staged":
        done = [_would_stage(entry, installer_for(entry.path)) for entry in entries]
    else:
        began = time.monotonic()
        if wanted != "absent":
            # An intermediate version is never in place.
            entries = exchanged = [entry for entry in entries if isinstance(entry, PlannedEnvironment)]
        before = [_in_place(entry).packages() for entry in entries]
        if wanted == "absent":
            changed = [
                _in_place(entry).remove_leftovers(entry, recovery_point_id, check) for entry in entries
            ]
        elif wanted == "switched" and check:
            changed = [not _in_place(entry).is_switched(entry, recovery_point_id) for entry in exchanged]
        elif wanted == "switched":
            changed = switch(exchanged, recovery_point_id, installer_for, progress)
        elif check:
            changed = [not _in_place(entry).is_restored(entry, recovery_point_id) for entry in exchanged]
        else:
            changed = switch_back(exchanged, recovery_point_id)
        seconds = round(time.monotonic() - began, 3)
        done = [
            _result(entry, changes, packages, _in_place(entry).packages(), seconds)
            for entry, changes, packages in zip(entries, changed, before)
        ]
        if wanted != "absent":
            for entry, each in zip(entries, done):
                each["aside"] = _in_place(entry).kept_name(recovery_point_id)
    return {
        "changed": any(each["changed"] for each in done),
        "environments": done,
        "diff": [_diff(each) for each in done if each["changes"]],
        "warnings": _warnings(done),
    }


def _warnings(done: Sequence[dict[str, Any]]) -> list[str]:
    """What an administrator should know of, each once."""
    faults = [f"{each['path']} stays as it is. {each['fault']}" for each in done if each["fault"]]
    return sorted({*faults, *(line for each in done for line in each["warnings"])})


def _stage_side_by_side(
    entries: Sequence[Planned],
    installer_for: Callable[[str], Installer],
    builder_folder: str,
    progress: Progress,
    failures: str,
) -> list[dict[str, Any]]:
    """Stage all of them; each waits in turns for the index, the disk and its own Python."""
    # One after the other: the first may have to fetch the installer.
    installers = [installer_for(entry.path) for entry in entries]

    def stage(entry: Planned, installer: Installer) -> dict[str, Any]:
        try:
            made = None
            if entry.path in members and isinstance(entry, PlannedEnvironment):
                made = _in_place(entry).stage_as_copy(members[entry.path], entry, installer, progress)
            made = made or _in_place(entry).stage(entry, installer, progress)
            return {**made.result(), "fault": ""}
        except HubError as error:
            if failures == FAIL or not isinstance(entry, PlannedEnvironment) or entry.role != "user":
                raise
            progress(f"{entry.path} cannot be upgraded")
            packages = _in_place(entry).packages()
            return {**_result(entry, False, packages, packages, 0.0), "fault": str(error)}

    with concurrent.futures.ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
        members: dict[str, identical.Member] = {}
        alike = [number for number, entry in enumerate(entries) if _in_place(entry).can_be_a_copy]
        if builder_folder and len(alike) >= identical.FEWEST:
            some = [entries[number] for number in alike], [installers[number] for number in alike]
            folder = Path(builder_folder).parent
            members = stack.enter_context(identical.models(*some, folder, progress, pool))
        return list(pool.map(stage, entries, installers))


def switch(
    entries: Sequence[PlannedEnvironment],
    recovery_point_id: str,
    installer_for: Callable[[str], Installer],
    progress: Progress,
) -> list[bool]:
    """Switch to the new environments, keep the old ones; return which entries have changed.

    Raises HubError before anything has changed when one of the new ones is not staged.
    """
    for entry in entries:
        _in_place(entry).require_staged(entry, recovery_point_id)
    changed = []
    for entry in entries:
        environment = _in_place(entry)
        changed.append(not environment.is_switched(entry, recovery_point_id))
        if changed[-1]:
            environment.switch(entry, recovery_point_id, installer_for, progress)
            progress(f"{entry.path} is the new environment")
    return changed


def switch_back(entries: Sequence[PlannedEnvironment], recovery_point_id: str) -> list[bool]:
    """Restore the old environments, move the new ones to their staged paths; return which have changed."""
    return [_in_place(entry).switch_back(entry, recovery_point_id) for entry in entries]


def _would_stage(entry: Planned, installer: Installer) -> dict[str, Any]:
    staged = _in_place(entry).is_staged(entry, installer)
    new = environment_of(entry.kind, entry.staged_path)
    if isinstance(entry, IntermediateVersion):
        alone = replace(entry, path=entry.staged_path)
        return _result(alone, not staged, {}, new.packages() if staged else {}, 0.0)
    before = _in_place(entry).packages()
    return _result(
        entry, not staged and not entry.in_place, before, new.packages() if staged else before, 0.0
    )


def _in_place(entry: Planned) -> Environment:
    """What an entry of the plan is about, whichever stands there."""
    return environment_of(entry.kind, entry.path)


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
        "replaced": "",
        "fault": "",
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
