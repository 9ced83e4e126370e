"""The last step before the outage: the restore is tried, and a guard is put on the host that will do it."""

from __future__ import annotations

from pathlib import Path

from ..deployment import lifecycle
from ..runs import guard, journal
from . import guard_program, recovery_point


def arm(folder: Path, run_id: str, point: Path) -> bool:
    """Test the restore without doing it, and start the guard that will do it.

    Returns False for a run that has come to its outage already, and has its guard. Raises HubError when the
    restore would fail; nothing has changed then.
    """
    with journal.lock(folder):
        run = journal.mine(folder, run_id)
        if run.phase == journal.OUTAGE:
            return False
        with journal.recording(folder, run, "arm") as armed, journal.alive(folder, run):
            recovery_point.test_restore(point)
            recovery_point.reserve(point)
            lifecycle.arm(run.deployment, str(folder.parent))
            run.phase, run.recovery_point = journal.ARMED, str(point)
            journal.write(folder, run)
            guard.install(folder, run.deployment, guard_program)
            armed["changed"] = True
        return True
