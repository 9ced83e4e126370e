"""How the hubs of a host stand, read from its files: last run, hold, guard, recovery points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..planning.findings.finding import Finding
from ..runs import guard, journal, outage_process, report
from ..runs.fleet import LastRun
from ..shapes import from_dict
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
            told, ended = report.lines(composed, folder.name), _last(composed)
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


def _last(composed: dict[str, Any]) -> LastRun:
    failure = composed["failure"] or {}
    return LastRun(
        outcome=composed["outcome"],
        from_version=composed["from_version"],
        to_version=composed["to_version"],
        ended=composed["ended"],
        downtime_seconds=composed["downtime_seconds"],
        expected_outage_seconds=composed["expected_outage_seconds"],
        warnings=tuple(composed["warnings"]),
        findings=tuple(from_dict(Finding, each) for each in composed["findings"]),
        failure=failure.get("reason", ""),
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
