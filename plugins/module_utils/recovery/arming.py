"""The last step before the outage: the restore is tried, and a guard is put on the host that will do it."""

from __future__ import annotations

from pathlib import Path

from ..deployment import lifecycle
from ..runs import guard, journal
from . import guard_program, recovery_point


def arm(folder: Path, run_id: str, point: Path) -> None:
    """Try the way to a recovery point without taking it, and put the guard on duty that will.

    Raises HubError when the way back would fail; nothing has changed then.
    """
    with journal.lock(folder):
        run = journal.mine(folder, run_id)
        with journal.alive(folder, run):
            recovery_point.test_restore(point)
            recovery_point.reserve(point)
            lifecycle.arm(run.deployment, str(folder.parent))
            run.phase, run.recovery_point = journal.ARMED, str(point)
            journal.write(folder, run)
            guard.install(folder, run.deployment, guard_program)
