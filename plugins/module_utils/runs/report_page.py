"""The report as a document: of the report's own data, so that host and controller make the same of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..deployment import person
from ..environments.planned import PackageChange
from ..pages.blocks import BAD, CALM, GOOD, WARN, Block, Code, Facts, Figures, Notice, Table, Text
from ..pages.document import Document, Section
from ..pages.timeline import Bar, Timeline, duration
from ..planning.findings.finding import Finding
from ..planning.plan_page import findings_blocks, packages_table
from ..shapes import from_dict
from . import journal
from .changes import DatabaseChange, EnvironmentChange
from .other_hosts import OtherHost

_TONES = {
    "upgraded": GOOD,
    "moved": GOOD,
    "rolled back": GOOD,
    "restored": WARN,
    "failed": BAD,
    "under way": CALM,
    "unchanged": CALM,
}
#: What the lines of a log are, how urgent, and what to change.
_LOG = {
    "errors": (BAD, "error", "Find the cause before users do."),
    "access": (BAD, "access", "Name in the config who may log in, as with c.Authenticator.allow_all."),
    "unrecognized": (
        WARN,
        "unknown option",
        "Correct its name in the config, or remove it: it has no effect.",
    ),
    "deprecated": (WARN, "deprecated", "Replace it in the config before the next upgrade."),
}
_CHECKS = {
    person.LOG_IN: "Log-in page",
    person.SERVER: "A user's server, started and stopped",
    person.KERNEL: "A kernel, computing over a websocket",
}
#: A part of the timeline that is smaller than this is shown by itself as well.
_SMALL = 0.5


def document(report: dict[str, Any]) -> Document:
    """The report as `report.compose` has made it, as a document."""
    old, new = report["from_version"], report["to_version"]
    versions = f"{old} \N{RIGHTWARDS ARROW} {new}" if new and new != old else old or ""
    what = "checked, nothing changed" if report["check"] else report["outcome"]
    findings = [from_dict(Finding, each) for each in report["findings"]]
    environments = [from_dict(EnvironmentChange, each) for each in report["environments"]]
    planned = _is_planned(report)
    return Document(
        subject=" on ".join(each for each in (report["service"], report["host"]) if each),
        title=f"JupyterHub {versions}, {what}".replace(" ,", ","),
        verdict=report["conclusion"],
        tone=CALM if report["check"] else _TONES[report["outcome"]],
        sections=(
            Section("In short", _summary(report, environments)),
            Section("What failed", _failure(report)),
            Section("To go back", _way_back(report)),
            Section("Timeline", _timelines(report)),
            Section("Warnings", _warnings(report, findings)),
            Section("Done as a person does it", _checks(report)),
            Section("The new hub's log", _log(report)),
            Section("Findings", findings_blocks(findings)),
            Section("Database", _database(report)),
            Section("Security advisories", _advisories(report)),
            Section("Environments, as planned" if planned else "Environments", _environments(environments)),
            Section("Other hosts", _other_hosts(report)),
            *(_packages(each) for each in environments),
        ),
        made=f"hubops.jupyterhub, run {report['run']}" if report["run"] else "hubops.jupyterhub",
    )


def _summary(report: dict[str, Any], environments: list[EnvironmentChange]) -> tuple[Block, ...]:
    seconds, expected = report["downtime_seconds"], report["expected_outage_seconds"]
    away = "unknown" if seconds is None else duration(seconds) if seconds else "none"
    outage = f"outage, {duration(expected)} expected" if expected else "outage"
    changed = sum(len(each.packages) for each in environments)
    figures = (
        (away, outage),
        (duration(_seconds(report)), "in all"),
        (str(changed), "packages would change" if _is_planned(report) else "packages changed"),
        (str(len(report["warnings"])), "warnings" if len(report["warnings"]) != 1 else "warning"),
    )
    by = " on ".join(each for each in (report["user"], report["controller"]) if each)
    return (
        Figures(figures),
        Facts(
            (
                ("From", report["from_version"] or ""),
                ("To", report["to_version"] or ""),
                ("Began", _when(report["started"])),
                ("Ended", _when(report["ended"])),
                ("By", by),
                ("Command", report["command"] or ""),
                ("Recovery point", report["backup"] or ""),
                ("First backup", report["first_backup"] or ""),
            )
        ),
    )


def _is_planned(report: dict[str, Any]) -> bool:
    """Whether what the plan says has not become true, or not yet."""
    return report["check"] or report["outcome"] not in ("upgraded", "moved")


def _seconds(report: dict[str, Any]) -> float:
    """How long all of it took: by the clock, or its phases together where no run began or has ended."""
    if report["started"] and report["ended"]:
        began, ended = (datetime.fromisoformat(report[key]) for key in ("started", "ended"))
        return max((ended - began).total_seconds(), 0.0)
    return float(sum(phase["seconds"] for phase in report["phases"]))


def _when(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def _failure(report: dict[str, Any]) -> tuple[Block, ...]:
    failure = report["failure"]
    return (Text(f"In the task or step '{failure['task']}':"), Code(failure["reason"])) if failure else ()


def _way_back(report: dict[str, Any]) -> tuple[Block, ...]:
    if not report["way_back"]:
        return ()
    return (
        Code(report["way_back"]),
        Text("With --check it changes nothing, and reports what would be lost: what users wrote since."),
    )


def _timelines(report: dict[str, Any]) -> tuple[Block, ...]:
    """The whole run, and its outage by itself where that is too small to be seen in it."""
    bars = _bars(report["phases"])
    if not bars:
        return ()
    begins, seconds = _offset(report, report["stopped_at"]), report["downtime_seconds"]
    if begins is None or seconds == 0:
        return (Timeline(bars),)
    end = max(each.end for each in bars)
    whole = Timeline(bars, (begins, end if seconds is None else begins + seconds))
    outage = whole.of_band()
    if outage is None or outage.seconds > _SMALL * whole.seconds:
        return (whole,)
    return (whole, Text("The outage by itself:"), outage)


def _bars(phases: list[dict[str, Any]]) -> tuple[Bar, ...]:
    """Each phase that took time; one whose begin is not known comes directly before the next."""
    known = [phase for phase in phases if phase["seconds"]]
    bars: list[Bar] = []
    at = 0.0
    zero = _zero(known)
    for phase in known:
        if phase["began"] and zero:
            # A clock that was set back draws nothing over what was before.
            at = max(at, (datetime.fromisoformat(phase["began"]) - zero).total_seconds())
        bars.append(Bar(phase["name"], at, at + phase["seconds"], phase["result"] == journal.FAILED))
        at += phase["seconds"]
    return tuple(bars)


def _zero(phases: list[dict[str, Any]]) -> datetime | None:
    """The moment at which a timeline begins: before the first known one lie those that are not known."""
    earlier = 0.0
    for phase in phases:
        if phase["began"]:
            return datetime.fromisoformat(phase["began"]) - timedelta(seconds=earlier)
        earlier += phase["seconds"]
    return None


def _offset(report: dict[str, Any], moment: str | None) -> float | None:
    """A moment in seconds since the timeline begins; None where one of both is not known."""
    zero = _zero([phase for phase in report["phases"] if phase["seconds"]])
    return (datetime.fromisoformat(moment) - zero).total_seconds() if moment and zero else None


def _warnings(report: dict[str, Any], findings: list[Finding]) -> tuple[Block, ...]:
    """Those that are neither a finding nor a line of the log, which have their own sections."""
    shown = {finding.found for finding in findings}.union(*report["log"].values())
    return tuple(Notice(WARN, "warning", each) for each in report["warnings"] if each not in shown)


def _checks(report: dict[str, Any]) -> tuple[Block, ...]:
    named = tuple((_CHECKS.get(name, name), ended) for name, ended in report["checks"].items())
    return (Facts(named),) if named else ()


def _log(report: dict[str, Any]) -> tuple[Block, ...]:
    return tuple(
        Notice(tone, label, line, remedy=remedy)
        for kind, (tone, label, remedy) in _LOG.items()
        for line in report["log"][kind]
    )


def _database(report: dict[str, Any]) -> tuple[Block, ...]:
    if report["database"] is None:
        return ()
    found = from_dict(DatabaseChange, report["database"])
    facts = [("Database", found.name), ("Schema", found.from_revision or "not known")]
    if found.to_name != found.name:
        facts.append(("Moved to", found.to_name))
    if found.to_revision and found.to_revision != found.from_revision:
        facts.append(("Schema now", found.to_revision))
    before, after = found.rows_before, found.rows_after
    if before is None:
        return (Facts(tuple(facts)),)
    if after is None:
        rows = tuple((table, str(before[table])) for table in sorted(before))
        return (Facts(tuple(facts)), Table(("table", "rows"), rows, numbers=(1,)))
    compared = tuple(
        (table, str(before.get(table, "\N{EN DASH}")), str(after.get(table, "\N{EN DASH}")))
        for table in sorted({*before, *after})
    )
    return (Facts(tuple(facts)), Table(("table", "rows before", "after"), compared, numbers=(1, 2)))


def _advisories(report: dict[str, Any]) -> tuple[Block, ...]:
    found = report["advisories"] or {"closed": [], "open": []}
    label = "would be closed" if _is_planned(report) else "closed"
    closed = Notice(GOOD, label, ", ".join(found["closed"]))
    still = Notice(WARN, "open", ", ".join(found["open"]), remedy="Upgrade to a release without them.")
    return tuple(notice for notice in (closed, still) if notice.title)


def _environments(changed: list[EnvironmentChange]) -> tuple[Block, ...]:
    if not changed:
        return ()
    rows = tuple(
        (each.path, each.role, each.python or "?", each.from_ or "none", each.to) for each in changed
    )
    return (Table(("environment", "role", "Python", "from", "to"), rows),)


def _other_hosts(report: dict[str, Any]) -> tuple[Block, ...]:
    hosts = [from_dict(OtherHost, each) for each in report["other_hosts"]]
    rows = tuple((each.host, each.ended, each.why) for each in hosts)
    return (Table(("host", "its environments", "why"), rows),) if rows else ()


def _packages(changed: EnvironmentChange) -> Section:
    packages: tuple[PackageChange, ...] = changed.packages
    return Section(f"Packages of {changed.path}", (packages_table(packages),) if packages else ())
