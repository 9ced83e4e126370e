"""How a run ends: the new hub is accepted, or the old one serves again and nothing of the attempt is left.

The playbook's rescue, the guard on the host, the next run and somebody with a shell all come here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from pathlib import Path
from typing import Any, Callable

from . import (
    environments,
    guarding,
    migration,
    outage,
    recovery_point,
    rehearsal_hub,
    room,
    runs,
    staging,
    verification,
)
from .errors import HubError
from .installer import InstallerOptions
from .process import family
from .progress import Progress
from .runs import Run

#: Restores that failed, after which nobody tries again by himself.
MOST_FAILURES = 3
#: Restores that failed or were cut off. One that was cut off may have got further than the one before it.
MOST_ATTEMPTS = 20
#: Seconds that the start of the old hub may take.
TIMEOUT = 120.0
#: Seconds after which a hub that is in the way, and does not stop, is killed.
STOP_TIMEOUT = 30.0


def arm(folder: Path, run_id: str, point: Path) -> None:
    """Try the way to a recovery point without taking it, and put the guard on duty that will.

    Raises HubError when the way back would fail; nothing has changed then.
    """
    with runs.turn(folder):
        run = runs.mine(folder, run_id)
        with runs.alive(folder, run):
            recovery_point.trial(point)
            _ask_old_hub(run)
            recovery_point.reserve(point)
            outage.arm(run.deployment, str(folder.parent))
            run.phase, run.recovery_point = runs.ARMED, str(point)
            runs.write(folder, run)
            guarding.install(folder, run.deployment)


def _ask_old_hub(run: Run) -> None:
    """Ask the hub that is to be stopped what it will be asked should it serve again."""
    deployment = run.deployment
    # A rollback leaves a hub that may be broken; one that did not run is accepted as it is.
    if run.plan.get("outage") and deployment["service"]["state"] == "running":
        try:
            verification.verify(deployment, version=run.plan["from_version"], timeout=TIMEOUT)
        except HubError as error:
            raise HubError(
                f"The hub could not be verified after a rollback, for it fails today: {error.message}",
                error.hint or "Fix that first.",
            ) from error


def accept(folder: Path, run_id: str) -> dict[str, Any]:
    """The new hub stays: from here on nothing goes back by itself. Returns the run's outcome.

    Raises HubError when the guard was quicker, or is about to be.
    """
    with runs.turn(folder):
        run = runs.mine(folder, run_id)
        runs.require_in_time(folder, run)
        # A rollback has done what the guard would do.
        ended, by = ("old", "the rollback") if "restore" in run.done else ("new", "the upgrade")
        runs.finish(folder, run, runs.ACCEPTED, ended=ended, by=by, reason="")
        return {**run.outcome, "left": tidy(folder, run)}


def restore(point: Path, timeout: float, run_id: str) -> dict[str, Any]:
    """Make the host equal to a recovery point, as a step of a run, or by somebody's hand; what was restored.

    A hand that does what the guard has to do also ends the run. Raises HubError as `recovery_point.restore`,
    and when another run is under way.
    """
    folder = recovery_point.state_folder_of(point)
    run = None if run_id else runs.read(folder)
    if run and not run.is_over and run.recovery_point == str(point):
        return {"changed": True, **go_back(folder, "hand", "")}
    return runs.step(folder, run_id, "restore", lambda: recovery_point.restore(point, timeout, timeout))


def go_back(folder: Path, by: str, reason: str, run_id: str = "") -> dict[str, Any]:
    """Bring a run to its end, with the old hub serving; returns its outcome.

    The run of that id, or whichever is under way. ``by`` and ``reason`` are for people. A run that is over
    stays as it is. It may be interrupted, and called again. Raises HubError when another run is under way, or
    the old hub could not be put back: then it stays down.
    """
    with runs.turn(folder, patience=TIMEOUT):
        run = runs.read(folder)
        if run_id and (run is None or run.id != run_id):
            run = runs.mine(folder, run_id)
        if run is None:
            return {}
        if run.is_over:
            return run.outcome
        # To the end: what was staged takes a while to remove, and the guard ends what gives no sign of life.
        with runs.alive(folder, run):
            if run.phase in (runs.PREPARING, runs.ARMED):
                left = tidy(folder, run)
                runs.finish(folder, run, runs.ENDED, ended="unchanged", by=by, reason=reason, left=left)
            else:
                _put_back(folder, run, by, reason)
    return run.outcome


def _put_back(folder: Path, run: Run, by: str, reason: str) -> None:
    if run.phase == runs.STUCK:
        run.attempts = run.failures = 0
    run.attempts += 1
    run.phase = runs.RESTORING
    # On a disk that has become full not even this could be written.
    room.release_aside(folder)
    runs.write(folder, run)
    stopped = run.done.get("stop", {})
    try:
        migration.abandon(folder)
        restored = recovery_point.restore(
            Path(run.recovery_point), TIMEOUT, STOP_TIMEOUT, stopped.get("log_mark", "")
        )
        verified = _verify(run.deployment, restored["version"])
    except HubError as error:
        run.failures += 1
        if run.failures >= MOST_FAILURES or run.attempts >= MOST_ATTEMPTS:
            runs.finish(folder, run, runs.STUCK, ended="neither", by=by, reason=str(error))
        else:
            runs.write(folder, run)
        raise
    left = tidy(folder, run)
    seconds = (
        outage.downtime(stopped["stopped_at"], restored["answered_at"]) if stopped.get("stopped_at") else None
    )
    runs.finish(
        folder,
        run,
        runs.RESTORED,
        ended="old",
        by=by,
        reason=reason,
        left=left,
        verified=verified,
        **restored,
        downtime_seconds=seconds,
    )


def tidy_up(folder: Path, run_id: str) -> None:
    """`tidy` behind a run that is over, unless the next one has begun."""
    with runs.turn(folder):
        run = runs.read(folder)
        if run and run.id == run_id and run.is_over:
            tidy(folder, run)


def tidy(folder: Path, run: Run) -> list[str]:
    """Take away whatever the run has put on the host for its own sake; return what could not be, and why."""
    wrong = []
    for take_away in _belongings(folder, run):
        try:
            take_away()
        except (HubError, OSError) as error:
            wrong.append(str(error))
    return wrong


def _belongings(folder: Path, run: Run) -> list[Callable[[], object]]:
    point = Path(run.recovery_point)
    belongings: list[Callable[[], object]] = [
        lambda: migration.abandon(folder),
        lambda: rehearsal_hub.tidy(run.deployment),
    ]
    for hop in run.plan.get("hops", []):
        belongings.append(functools.partial(staging.remove_staged, hop["staged_path"]))
    for entry in run.plan.get("environments", []):
        arguments = ("absent", [entry], point.name, InstallerOptions(), Progress())
        belongings.append(functools.partial(environments.bring_to, *arguments))
    if run.recovery_point:
        belongings.append(lambda: recovery_point.release_reserve(point))
    belongings.append(lambda: outage.disarm(run.deployment, str(folder.parent)))
    # Last: what is left now, the guard would still see to.
    belongings.append(lambda: guarding.remove(folder))
    return belongings


def _verify(deployment: dict[str, Any], version: str) -> str:
    """What is wrong with the hub that was put back, '' where nothing is; no reason to do that again."""
    try:
        verification.verify(deployment, version=version)
    except HubError as error:
        return str(error)
    return ""


def end_task(folder: Path) -> None:
    """End the task of a dead run that still works on the hub, with all that it has started."""
    pid = runs.holder_of_turn(folder)
    for process in list(family(pid)) if pid else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
