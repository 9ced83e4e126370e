"""How the hubs of a host stand, read from its files: last run, hold, guard, recovery points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError
from ..runs import guard, journal, outage_process, report
from ..runs.fleet import LastRun
from ..system import state
from . import catalogue
from .catalogue import ListedPoint


@dataclass(frozen=True)
class Status:
    """One hub; RETURN of ``jupyterhub_status`` says what each field means."""

    name: str
    run: str
    report: tuple[str, ...]
    last: LastRun | None
    held: str
    guarded: bool
    outage: bool
    recovery_points: tuple[ListedPoint, ...]


def of_host(base: str | None, service: str = "") -> list[Status]:
    """The hubs of which something is kept below ``base``; ``service`` names one. Nothing is changed."""
    return [of_hub(folder) for folder in catalogue.folders(base, service)]


def of_hub(folder: Path) -> Status:
    """The hub of one state folder."""
    hold = state.hold_file(folder)
    run, told, ended = "", [], None
    try:
        last = journal.read(folder)
        if last:
            run = journal.summary(last)
            composed = report.compose(report.of_run(last))
            told, ended = report.lines(composed, folder.name), LastRun.of_report(composed)
    except HubError as error:
        run = str(error)
    return Status(
        name=folder.name,
        run=run,
        report=tuple(told),
        last=ended,
        held=hold.read_text(encoding="utf-8").strip() if hold.exists() else "",
        guarded=guard.is_active(folder),
        outage=outage_process.is_running(folder),
        recovery_points=tuple(catalogue.listed_in(folder)),
    )


def lines(status: Status) -> list[str]:
    """The same for an administrator; what is wrong comes first."""
    points = status.recovery_points
    newest = f", the newest {points[0].path}" if points else ""
    broken = [f"Not usable: {point.path}: {point.problem}" for point in points if point.problem]
    return [
        *([f"Held down: {status.held}"] if status.held else []),
        *([status.run] if status.run else ["No run is known."]),
        *status.report,
        *(["The host carries out an outage."] if status.outage else []),
        *(["A guard watches the run."] if status.guarded else []),
        f"{report.count(len(points), 'recovery point')}{newest}.",
        *broken,
    ]
