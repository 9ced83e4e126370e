"""The last step before the outage: tests the restore, and starts the guard that will do it."""

from __future__ import annotations

from pathlib import Path

from ..deployment import lifecycle, person, verification
from ..errors import HubError
from ..planning.plan import ROLLBACK
from ..runs import guard, journal
from ..runs.journal import Run
from . import guard_program, recovery_point, rollback


def arm(folder: Path, run_id: str, point: Path) -> bool:
    """Test the restore without doing it, and start the guard that will do it.

    Returns False for a run that has come to its outage already, and has its guard. Raises HubError when the
    restore would fail; nothing has changed then.
    """
    with journal.lock(folder):
        run = journal.mine(folder, run_id)
        if run.phase in (journal.OUTAGE, journal.VERIFIED):
            return False
        with journal.recording(folder, run, "arm") as armed, journal.alive(folder, run):
            recovery_point.test_restore(point)
            _ask_old_hub(run, point)
            recovery_point.reserve(point)
            lifecycle.arm(run.deployment, str(folder.parent))
            run.phase, run.recovery_point = journal.ARMED, str(point)
            journal.write(folder, run)
            guard.install(folder, [each.path for each in run.deployment.environments], guard_program)
            # What does not answer today need not answer tomorrow.
            armed.update(changed=True, broken_log_in=person.broken_log_in(run.deployment))
        return True


def _ask_old_hub(run: Run, point: Path) -> None:
    """Verify the present hub as it will be verified after a rollback."""
    # A rollback leaves a hub that may be broken; one that did not run is accepted as it is.
    if (
        run.plan
        and run.plan.action != ROLLBACK
        and run.plan.outage
        and run.deployment.service.state == "running"
    ):
        try:
            verification.verify(
                run.deployment,
                version=run.plan.from_version,
                point=point,
                timeout=rollback.TIMEOUT,
                checks=(),
            )
        except HubError as error:
            raise HubError(
                f"The hub could not be verified after a rollback, for it fails today: {error.message}",
                error.hint or "Fix that first.",
            ) from error
