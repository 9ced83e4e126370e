"""Finds an earlier run that was cut off, and ends or completes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ..runs import guard, journal, outage_process, report
from ..runs.journal import Run
from ..system import state
from . import guard_program, recovery_point, rollback

RESTORE = "restore"
COMPLETE = "complete"


class Resumption(NamedTuple):
    """What was found; ``messages`` are for the administrator."""

    changed: bool
    messages: list[str]
    run: Run | None
    """The run that is to be completed, now this one's; None when a new one may begin."""


def resume(
    base: str | None, service: str, how: str, take_over: str, holder: dict[str, Any], check: bool
) -> Resumption:
    """End or complete the earlier runs of this host that were cut off.

    ``service`` names one hub, '' all below ``base``. ``how`` is ``restore`` or
    ``complete``. ``take_over`` is the id of a run known to be dead. ``holder`` identifies the new run, as in
    `journal.begin`. With ``check`` nothing is changed.

    Raises RunUnderWay for one that may be alive, HubError when the old hub could not be restored.
    """
    changed, messages, adopted = False, [], None
    name = service.rpartition(":")[2]
    name = name[: -len(".service")] if name.endswith(".service") else name
    for folder in state.state_folders(base):
        run = journal.read(folder) if name in ("", folder.name) else None
        if run is None:
            continue
        if run.is_over:
            messages += _unreported_end(folder, run, check)
            continue
        # The host completes an outage without its controller.
        if outage_process.is_running(folder) or (journal.is_live(folder, run) and run.id != take_over):
            raise journal.RunUnderWay(folder, run)
        messages.append(f"{journal.summary(run)} It was cut off.")
        changed = True
        if check:
            continue
        if how == COMPLETE and run.phase == journal.OUTAGE:
            adopted = _adopt(folder, run, holder)
            messages.append("It is completed now.")
        else:
            rollback.end_task(folder)
            rollback.settle(folder, "the next run", "it was cut off", keep=how == COMPLETE)
            messages += _unreported_end(folder, journal.read(folder), check)
    return Resumption(changed, messages, adopted)


def _unreported_end(folder: Path, run: Run | None, check: bool) -> list[str]:
    """How a run ended whose end no controller has reported; returned once."""
    if run is None or run.reported or run.outcome.get("by") in ("the upgrade", "the rescue"):
        return []
    if not check:
        journal.mark_reported(folder, run)
    return [journal.summary(run), *report.lines(report.compose(report.of_run(run)), folder.name)[1:]]


def _adopt(folder: Path, run: Run, holder: dict[str, Any]) -> Run:
    """Continue a run under a new id, so that its own controller, if it continues, is too late."""
    rollback.end_task(folder)
    with journal.lock(folder):
        recovery_point.verify(Path(run.recovery_point))
        started = datetime.now(timezone.utc)
        adopted = replace(
            run,
            **holder,
            id=journal.new_id(started),
            continues=run.id,
            started=started.isoformat(timespec="seconds"),
            boot=journal.boot(),
            begun_at=journal.now(),
            doing="",
        )
        # The new guard counts from the last heartbeat, and takes seconds to come on a busy host.
        with journal.alive(folder, adopted):
            journal.write(folder, adopted)
            guard.install(folder, [each.path for each in adopted.deployment.environments], guard_program)
    return adopted
