"""What staging would make of another host's environments: their installers are asked, and leave nothing."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from typing import Any

from ..environments.asking import passing_installer
from ..environments.environment import read_environment
from ..environments.installer import InstallerOptions
from ..environments.kinds import environment_of
from ..environments.planned import FAIL, REBUILD, PlannedEnvironment
from ..environments.staged import Staged
from ..errors import HubError


def stage(
    entries: Sequence[PlannedEnvironment], options: InstallerOptions, failures: str = FAIL
) -> dict[str, Any]:
    """As `transitions.apply` with ``staged``, but nothing is done.

    Of an environment that is built anew no packages are named: they are chosen then. Raises HubError as that
    does, unless ``failures`` says that an environment that cannot be upgraded is only named.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        done = list(pool.map(lambda entry: _would_stage(entry, options, failures), entries))
    return {"changed": any(each["changed"] for each in done), "environments": done}


def _would_stage(entry: PlannedEnvironment, options: InstallerOptions, failures: str) -> dict[str, Any]:
    environment = environment_of(entry.kind, entry.path)
    before = after = environment.packages()
    changed, fault = True, ""
    try:
        with passing_installer(read_environment(entry.path), options) as installer:
            if environment.is_staged(entry, installer):
                changed, after = False, environment_of(entry.kind, entry.staged_path).packages()
            elif entry.strategy != REBUILD:
                after = {**before, **installer.planned(entry.path, entry.requirements)}
    except HubError as error:
        if failures == FAIL:
            raise
        changed, fault = False, str(error)
    staged = Staged(entry.path, entry.staged_path, entry.strategy, changed, before, after, 0.0)
    return {**staged.result(), "fault": fault}
