"""The first backup of an upgraded hub, with its restore tested: the next rollback is known to work."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..deployment.database import copies_config
from ..deployment.discovery import find_deployment
from ..deployment.model import Deployment
from ..errors import HubError
from ..runs import journal, report
from . import manifest, recovery_point, retention


def make(folder: Path, run_id: str, lock_timeout: float) -> Path | None:
    """Make a recovery point of the hub that a run has upgraded, and test its restore; its folder.

    ``lock_timeout`` is in seconds. None where the run has no new hub, or the backup failed: that is in the
    run's record, and its report warns of it. The hub is accepted, and serves on.
    """
    with journal.lock(folder):
        run = journal.recorded(folder, run_id)
        if run is None or run.outcome.get("ended") != "new":
            return None
        with contextlib.suppress(HubError):
            if run.taken(report.FIRST_BACKUP) is None:
                with journal.recording(folder, run, report.FIRST_BACKUP) as made:
                    point = _tested(
                        run.deployment, Path(run.recovery_point), str(folder.parent), lock_timeout
                    )
                    made.update(changed=True, path=str(point))
        path = run.measured(report.FIRST_BACKUP, "path")
        return Path(path) if path else None


def _tested(before: Deployment, upgrades: Path, base: str, lock_timeout: float) -> Path:
    """A recovery point of what ``before`` has become; it counts with the one of the upgrade."""
    try:
        deployment = find_deployment(
            before.service.name,
            config_file=before.config.file,
            hub_environment=before.hub_environment.path,
            user_environments=[each.path for each in before.user_environments],
            copies=copies_config(Path(before.database.copies_file)),
            base=base,
        )
        made_by = manifest.read(upgrades).run
        point = recovery_point.create(deployment, None, base, [], lock_timeout, run=made_by)
        try:
            recovery_point.test_restore(point)
        except HubError:
            retention.remove(point)
            raise
    except OSError as error:
        raise HubError(f"{error.filename}: {error.strerror}") from error
    return point
