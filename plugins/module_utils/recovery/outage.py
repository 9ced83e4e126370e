"""The outage: the program on the hub's host that takes its steps, and who watches it from the controller.

A step that fails, or takes longer than it may, is followed by the restore of the old hub. Where this
program is killed, the guard restores the old hub.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..runs import guard, journal, outage_process
from ..runs.journal import Run
from ..shapes import from_dict, to_dict
from ..system import files, state
from . import rollback
from .outage_steps import MARGIN_SECONDS, STEPS, Outage, Settings, Step

LOOK_SECONDS = 0.2


def carry_out(folder: Path) -> str:
    """Take all steps of the present run; '' when the new hub is verified, else why the old one is restored.

    Raises HubError when the old hub could not be restored either; the guard tries again.
    """
    outage_process.report_begun(folder)
    run = journal.read(folder)
    if run is None or run.plan is None:
        raise HubError("There is no run with an outage.", "Run upgrade.yml.")
    settings = from_dict(Settings, json.loads(_settings_file(folder).read_text(encoding="utf-8")))
    os.environ.update(settings.variables)
    outage = Outage(folder, run, run.plan, settings)
    with outage.until_over:
        reason, failed = _attempt(outage)
        if reason:
            rollback.roll_back(folder, journal.BY_THE_HOST, reason, run.id, failed)
    return reason


def _attempt(outage: Outage) -> tuple[str, str]:
    """Take all steps; why that has failed, and in which of them, both '' where it has not."""
    name = ""
    try:
        with outage.kept, outage.until_stopped:
            for step in STEPS:
                name = step.name
                if step.is_needed(outage.plan):
                    take(step, outage)
        journal.mark_verified(outage.folder, outage.run.id)
    except HubError as error:
        return str(error), name
    except Exception as error:
        traceback.print_exc()
        return f"The step '{name}' failed: {type(error).__name__}: {error}", name
    outage_process.report_done(outage.folder)
    return "", ""


def take(step: Step, outage: Outage) -> dict[str, Any]:
    """Take one step within its time, and record it. Raises HubError when it fails."""
    limit = step.limit(outage.settings)
    deadline = time.monotonic() + limit

    def until_late() -> float | None:
        """What cannot be interrupted has no heartbeat any more, so that the guard ends it."""
        now = time.monotonic()
        return now if now < deadline + MARGIN_SECONDS else None

    def action() -> dict[str, Any]:
        with _limited(limit, step.name):
            return step.take(outage)

    return journal.step(
        outage.folder,
        outage.run.id,
        step.name,
        action,
        progress=step.progress(outage) or until_late,
        again=step.again,
    )


class _TimeIsUp(BaseException):
    """No Exception, which a step may expect and survive."""


@contextlib.contextmanager
def _limited(limit: float, name: str) -> Iterator[None]:
    """End the block with a HubError when it takes longer; whatever it waits for is interrupted."""

    def end(*_: object) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    except _TimeIsUp:
        raise HubError(f"The step '{name}' did not end within {limit:.0f} s.") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Its observer


def conduct(folder: Path, run_id: str, settings: Settings, wait: float = float("inf")) -> Run:
    """Have the host carry out the outage of a run; return the run once its new hub is verified.

    It is returned as it is after ``wait`` seconds. Called again, it watches the outage that is under way.
    Raises HubError with the reason when the old hub was restored instead.
    """
    # In this order: one that ends in between has left its verdict in the record.
    begun = outage_process.is_running(folder) or outage_process.has_died(folder)
    run = journal.recorded(folder, run_id) or journal.mine(folder, run_id)
    if run.phase in (journal.PREPARING, journal.ARMED, journal.OUTAGE) and not begun:
        journal.require_in_time(folder, run)
        files.write(_settings_file(folder), json.dumps(to_dict(settings)).encode())
        outage_process.start(folder)
    deadline = time.monotonic() + wait
    while True:
        # First who works, then the record: whatever has ended in between is in it.
        works = outage_process.is_running(folder) or guard.is_active(folder) or journal.lock_holder(folder)
        run = journal.recorded(folder, run_id) or journal.mine(folder, run_id)
        if run.phase in (journal.VERIFIED, journal.ACCEPTED):
            return run
        if run.is_over or run.phase == journal.STUCK:
            raise HubError(_why(run))
        if not works:
            raise HubError(f"Neither the program of the outage nor the guard works. {journal.summary(run)}")
        if run.phase == journal.ARMED and outage_process.has_died(folder):
            raise HubError(f"The outage has not begun: {outage_process.output(folder)}")
        if time.monotonic() > deadline:
            return run
        time.sleep(LOOK_SECONDS)


def message(phase: str, doing: str) -> str:
    """What the host does where a run stands so, for an administrator who waits."""
    if phase == journal.RESTORING:
        return "Restoring the old hub"
    name, colon, detail = doing.partition(": ")
    found = next((step.message for step in STEPS if step.name == name), "Carrying out the outage")
    return f"{found}{colon}{detail}"


def _why(run: Run) -> str:
    """Why the old hub serves again: what the step that failed has said."""
    failed = [
        phase.message for phase in run.phases if phase.result == journal.FAILED and phase.name != "restore"
    ]
    if failed:
        return failed[-1]
    # Nobody but the guard and its like ends a run whose outage has not begun.
    late = "This run came too late. " if run.phase == journal.ENDED else ""
    return f"{late}{journal.summary(run)}"


def _settings_file(folder: Path) -> Path:
    """For the time of the run alone: an index's address may have a password in it."""
    return state.guard_folder(folder) / "outage.json"
