"""How a run ends: the new hub is accepted, or the old one serves again and nothing of the attempt is left.

The playbook's rescue, the guard, the next run and an administrator with a shell all use this.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from ..databases import migration
from ..deployment import lifecycle, server_images, users_servers, verification
from ..deployment.announcement import announce
from ..deployment.database import database_of
from ..deployment.holding import holding
from ..deployment.model import Deployment, SpawnerFacts
from ..deployment.verification import Lender
from ..environments import transitions
from ..environments.installer import InstallerOptions
from ..errors import HubError
from ..hub import hold_page
from ..hub.running_servers import RunningServer
from ..planning import moving
from ..progress import Progress
from ..rehearsal import rehearsed_hub
from ..runs import guard, journal, report, report_files
from ..runs.journal import Outcome, Phase, Run
from ..services.kinds import service_of
from ..shapes import from_dict, to_dict
from ..system.processes import family
from . import recovery_point, reserved_space

#: Failed restores after which there is no automatic attempt any more.
MOST_FAILURES = 3
#: Restores that failed or were cut off. One that was cut off may have got further than the one before it.
MOST_ATTEMPTS = 20
#: Seconds that the start of the old hub may take.
TIMEOUT = 120.0
#: Seconds after which a hub that does not stop is killed.
STOP_TIMEOUT = 30.0
#: Within which users' servers must answer that were kept, and a hub must know a token to spare them.
SERVERS_TIMEOUT = 30.0
#: The step of the outage that has noted these servers.
SERVERS = "servers"
#: The phase after the acceptance that removes users' containers which have an old image.
CONTAINERS = "containers"


def accept(folder: Path, run_id: str) -> Outcome:
    """Accept the new hub: from here on there is no automatic rollback. Returns the run's outcome.

    A new hub that the host has verified and is to keep is accepted also when the controller comes late, or
    was kept by then. Otherwise HubError is raised when the guard has begun a rollback, or is about to.
    """
    with journal.lock(folder, patience=TIMEOUT):
        run = journal.recorded(folder, run_id)
        if run and run.phase == journal.ACCEPTED:
            journal.mark_reported(folder, run)
            return {"left": [], **run.outcome}
        run = journal.mine(folder, run_id)
        if _is_kept(run):
            return _keep(folder, run, "the upgrade", "")
        journal.require_in_time(folder, run)
        # A rollback has done what the guard would do.
        ended, by = ("new", "the upgrade") if run.taken("restore") is None else ("old", "the rollback")
        return _accept(folder, run, {"ended": ended, "by": by, "reason": ""})


def _accept(folder: Path, run: Run, outcome: Outcome) -> Outcome:
    run.record(Phase("accept", 0.0, journal.CHANGED))
    journal.finish(folder, run, journal.ACCEPTED, outcome)
    if outcome["ended"] == "new" and run.plan and run.plan.stale_containers == server_images.REMOVE:
        with journal.recording(folder, run, CONTAINERS) as done:
            done.update(_remove_stale_containers(run.deployment.spawner, run.plan.to_version))
    _report(folder, run)
    return {**run.outcome, "left": tidy(folder, run)}


def _remove_stale_containers(spawner: SpawnerFacts, version: str) -> dict[str, Any]:
    """Remove users' containers that would start again with an old image; all are named."""
    if spawner.images is None:
        return {"changed": False}
    try:
        done = server_images.remove_stale(spawner.images, version, spawner.command)
    except HubError as error:
        return {"changed": False, "warnings": [f"Containers with old images were kept: {error}"]}
    removed = [f"Removed, for they had an old image: {', '.join(done.removed)}."] if done.removed else []
    return {"changed": bool(removed), "removed": done.removed, "warnings": [*removed, *done.kept]}


def settle(folder: Path, by: str, reason: str, keep: bool = False) -> Outcome:
    """End a run that was cut off; returns its outcome.

    A new hub that the host has verified is kept where the run is to, or ``keep`` says so. Otherwise, or where
    it does not serve any more, the old one is restored, as `roll_back` does.
    """
    with journal.lock(folder, patience=TIMEOUT):
        run = journal.read(folder)
        if run and (_is_kept(run) or (keep and run.phase == journal.VERIFIED)):
            try:
                return _keep(folder, run, by, reason)
            except HubError as error:
                reason = f"{reason}, and the new hub was not kept: {error}"
    return roll_back(folder, by, reason)


def _is_kept(run: Run) -> bool:
    """Whether its new hub stays, also when no controller accepts it."""
    return run.phase == journal.VERIFIED and run.unconfirmed == journal.KEEP


def _keep(folder: Path, run: Run, by: str, reason: str) -> Outcome:
    """Accept the verified new hub, which is started where a reboot has held it. Raises HubError as that."""
    version = run.plan.to_version if run.plan else ""
    with journal.alive(folder, run):
        started = lifecycle.start(run.deployment, str(folder.parent), version, TIMEOUT)
        return _accept(folder, run, {"ended": "new", "by": by, "reason": reason, "version": started.version})


@dataclass(frozen=True)
class Replaced:
    """The hub that a rollback replaces; times in seconds."""

    deployment: Deployment
    point: Path | None
    """Its own recovery point, into which its database is copied once more when it has stopped."""
    stop_timeout: float
    lock_timeout: float


def restore(point: Path, timeout: float, run_id: str, replaced: Replaced | None = None) -> dict[str, Any]:
    """Make the host equal to a recovery point, as steps of a run, or manually; what was restored.

    A run says which hub is ``replaced``: it is stopped first, and its address held from then on. A manual
    restore to the point of the present run also ends that run. Raises HubError as `recovery_point.restore`,
    and when another run is under way.
    """
    folder = recovery_point.state_folder_of(point)
    run = None if run_id else journal.read(folder)
    if run and not run.is_over and run.recovery_point == str(point):
        return {"changed": True, **roll_back(folder, "hand", "")}

    def take(held: bool) -> dict[str, Any]:
        make = functools.partial(recovery_point.restore, point, timeout, timeout, held=held)
        return journal.step(folder, run_id, "restore", make)

    if not run_id or replaced is None:
        return take(held=False)
    with contextlib.ExitStack() as kept:
        reason = f"rollback to {point.name}"
        journal.step(folder, run_id, "stop", lambda: _stop(folder, replaced, reason, kept))
        if replaced.point:
            second, patience = replaced.point, replaced.lock_timeout
            journal.step(
                folder,
                run_id,
                "seal",
                lambda: {"changed": True, "database": to_dict(recovery_point.seal(second, patience))},
            )
        return take(held=True)


def _stop(folder: Path, replaced: Replaced, reason: str, kept: contextlib.ExitStack) -> dict[str, Any]:
    """Stop the hub that is replaced, with its users' servers; its address is held until ``kept`` ends.

    The proxy that it has started answers meanwhile where the hub ends in its own way.
    """
    deployment = replaced.deployment
    with contextlib.ExitStack() as asked:
        shut_down: Callable[[], None] | None = None
        with contextlib.suppress(HubError):
            attending = users_servers.attending(deployment, replaced.point, patience=SERVERS_TIMEOUT)
            hub = asked.enter_context(attending)
            if hub.takes_shut_down():
                service_of(deployment.service).spare_servers()
                shut_down = functools.partial(hub.shut_down, servers=True)
        held = kept.enter_context(holding(deployment, doing=hold_page.RESTORED))
        stopped = lifecycle.stop(deployment, str(folder.parent), reason, replaced.stop_timeout, shut_down)
    return {**vars(stopped), **vars(held)}


def roll_back(folder: Path, by: str, reason: str, run_id: str = "", task: str = "") -> Outcome:
    """End a run, with the old hub serving; returns its outcome.

    The run of that id, or whichever is under way. ``by``, ``reason`` and the ``task`` that failed are for
    the report. A run that is over stays as it is. May be interrupted, and called again. Raises HubError when
    another run is under way, or the old hub could not be restored: then it stays down.
    """
    with journal.lock(folder, patience=TIMEOUT):
        run = journal.read(folder)
        if run_id and (run is None or run.id != run_id):
            run = journal.mine(folder, run_id)
        if run is None:
            return {}
        if run.is_over:
            return run.outcome
        # To the end: removing staged environments takes long, and the guard ends tasks without a heartbeat.
        with journal.alive(folder, run):
            if run.phase in (journal.PREPARING, journal.ARMED):
                left = tidy(folder, run)
                ended: Outcome = {
                    "ended": "unchanged",
                    "left": left,
                    "by": by,
                    "reason": reason,
                    "task": task,
                }
                journal.finish(folder, run, journal.ENDED, ended)
            else:
                restored = _restore(folder, run, by)
                journal.finish(folder, run, journal.RESTORED, {**restored, "reason": reason, "task": task})
        _report(folder, run)
    return run.outcome


def _restore(folder: Path, run: Run, by: str) -> Outcome:
    if run.phase == journal.STUCK:
        run.attempts = run.failures = 0
    run.attempts += 1
    run.phase = journal.RESTORING
    # On a disk that has become full not even this could be written.
    reserved_space.release_aside(folder)
    journal.write(folder, run)
    stopped = run.taken("stop") or {}
    try:
        with journal.recording(folder, run, "restore") as restored, contextlib.ExitStack() as kept:
            migration.abandon(folder)
            point, mark = Path(run.recovery_point), stopped.get("log_mark", "")
            lenders: list[Lender | None] = []

            def lend() -> None:
                with contextlib.suppress(HubError):
                    lenders.append(kept.enter_context(verification.lending_ahead(run.deployment, point)))

            servers = kept_servers(run)
            shut_down = functools.partial(_shut_down, run.deployment, point) if servers else None
            restored.update(recovery_point.restore(point, TIMEOUT, STOP_TIMEOUT, mark, lend, shut_down))
            verified = _verify(run.deployment, restored["version"], point, lenders, kept)
            restored["warnings"] = users_servers.lost(run.deployment, servers, SERVERS_TIMEOUT)
    except HubError as error:
        run.failures += 1
        if run.failures >= MOST_FAILURES or run.attempts >= MOST_ATTEMPTS:
            journal.finish(folder, run, journal.STUCK, {"ended": "neither", "by": by, "reason": str(error)})
            _report(folder, run)
        else:
            journal.write(folder, run)
        raise
    stopped_at, answered_at = stopped.get("stopped_at"), restored["answered_at"]
    return {
        **restored,  # type: ignore[typeddict-item]
        "ended": "old",
        "by": by,
        "left": tidy(folder, run),
        "verified": verified,
        "downtime_seconds": lifecycle.downtime(stopped_at, answered_at) if stopped_at else None,
    }


def kept_servers(run: Run) -> list[RunningServer]:
    """Users' servers that the run's outage has left running."""
    return [from_dict(RunningServer, each) for each in (run.taken(SERVERS) or {}).get("kept", [])]


def _shut_down(deployment: Deployment, point: Path) -> None:
    """Have the hub that is to be replaced end without users' servers; one that cannot is stopped as it is."""
    with contextlib.suppress(HubError), users_servers.attending(
        deployment, point, patience=SERVERS_TIMEOUT
    ) as hub:
        hub.shut_down()


def _report(folder: Path, run: Run) -> None:
    """Write the report, even where no controller reads it; on a full disk the record is enough."""
    with contextlib.suppress(HubError, OSError):
        report_files.write(folder, report.compose(report.of_run(run)))


def tidy_up(folder: Path, run_id: str) -> None:
    """`tidy` behind a run that is over, unless the next one has begun."""
    with journal.lock(folder):
        run = journal.read(folder)
        if run and run.id == run_id and run.is_over:
            tidy(folder, run)


def tidy(folder: Path, run: Run) -> list[str]:
    """Remove all temporary files of the run; return what could not be removed, and why."""
    wrong = []
    for remove in _removals(folder, run):
        try:
            remove()
        except (HubError, OSError) as error:
            wrong.append(str(error))
    return wrong


def _removals(folder: Path, run: Run) -> list[Callable[[], object]]:
    point = Path(run.recovery_point)
    removals: list[Callable[[], object]] = [
        lambda: announce(run.deployment, ""),
        lambda: migration.abandon(folder),
        lambda: rehearsed_hub.tidy(database_of(run.deployment, point if run.recovery_point else None)),
    ]
    if run.plan and run.plan.move:
        removals.append(lambda: moving.settle(folder, run.deployment, is_moved=run.phase == journal.ACCEPTED))
    for entry in run.plan.staged if run.plan else ():
        arguments = ("absent", [entry], point.name, InstallerOptions(), Progress())
        removals.append(functools.partial(transitions.apply, *arguments))
    if run.recovery_point:
        removals.append(lambda: recovery_point.release_reserve(point))
    removals.append(lambda: lifecycle.disarm(run.deployment, str(folder.parent)))
    # Last: the guard would still remove what is left by then.
    removals.append(lambda: guard.remove(folder))
    return removals


def _verify(
    deployment: Deployment,
    version: str,
    point: Path,
    lenders: list[Lender | None],
    kept: contextlib.ExitStack,
) -> str:
    """What is wrong with the restored hub, or ''; no reason to restore it again.

    ``lenders`` has the one that was started before the hub, if any; it ends with ``kept``.
    """
    try:
        with kept:
            lender = next(iter(lenders), None)
            verification.verify(deployment, version=version, point=point, lender=lender)
    except HubError as error:
        return str(error)
    return ""


def end_task(folder: Path) -> None:
    """End the task of a dead run that still works on the hub, with all that it has started."""
    pid = journal.lock_holder(folder)
    for process in list(family(pid)) if pid else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
