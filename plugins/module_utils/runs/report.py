"""The report of a run, composed from the run's own record."""

from __future__ import annotations

import platform
import re
import shlex
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..deployment.lifecycle import downtime
from ..deployment.model import Deployment
from ..hub import logs
from ..planning.findings.audit import KINDS as OF_AUDIT
from ..planning.findings.finding import WARNING, Finding
from ..planning.plan import MOVE, ROLLBACK, UPGRADE, Plan
from ..shapes import from_dict, to_dict
from . import changes, journal, other_hosts
from .journal import Phase, Run
from .other_hosts import OtherHost

#: A phase after the acceptance, whose failure is a warning.
FIRST_BACKUP = "first backup"

_INVENTORY = re.compile(r"(?:^| )(?:-i|--inventory(?:-file)?)[ =]?(\S+)")


@dataclass
class Story:
    """The input of a report: the run's record, or what is known where no run has begun."""

    deployment: Deployment | None
    plan: Plan | None
    phases: list[Phase]
    failure: dict[str, str]
    """``{task, reason, restore}``: what failed, why, and why the restore did as well; or nothing."""
    check: bool = False
    run: Run | None = None

    @property
    def ended(self) -> str:
        """Which hub serves in the end, as far as that was decided: ``old``, ``new``, ``unchanged`` or ''."""
        return self.run.outcome.get("ended", "") if self.run else ""

    @property
    def old_version(self) -> str | None:
        found = self.deployment.jupyterhub if self.deployment else None
        return (self.plan.from_version if self.plan else None) or found or None

    @property
    def new_version(self) -> str | None:
        return self.plan.to_version if self.plan else None

    def measured(self, name: str, key: str) -> Any:
        """What a phase has measured, None where it was not reached or has failed."""
        return next((each.measured.get(key) for each in self.phases if each.name == name), None)

    def failed(self, name: str) -> str:
        """Why a phase failed, '' where it did not."""
        return next(
            (each.message for each in self.phases if each.name == name and each.result == journal.FAILED), ""
        )


def of_run(run: Run, failure: dict[str, str] | None = None) -> Story:
    """The story of a run from its record; ``failure`` where the controller knows more."""
    outcome = run.outcome
    known = {"task": outcome.get("task", ""), "reason": outcome.get("reason", "")}
    return Story(run.deployment, run.plan, run.phases, failure or (known if known["reason"] else {}), run=run)


def compose(story: Story) -> dict[str, Any]:
    """The report.

    ``{outcome, check, run, service, from_version, to_version, downtime_seconds, expected_outage_seconds,
    phases, backup, first_backup, warnings, audit, failure, conclusion}``, phases being
    ``[{name, seconds, result, began}]`` in the order in which they ended. ``downtime_seconds`` lasts from the
    request to stop, ``stopped_at``, to the first answer, and is None where none came or the host's clock was
    set back. ``audit`` is None where no package was looked up. ``conclusion`` is a sentence for the
    administrator.

    Besides, for the page: ``{hub, host, started, ended, user, controller, command, stopped_at, findings,
    checks, log, environments, database, advisories, way_back, other_hosts}``. Times are ISO 8601 in UTC,
    or None. ``checks`` says what was done as a person does it, and how it ended, ``log`` has lines of the new
    hub's log by their kind, ``way_back`` is the command that undoes the run, and the three before it are as
    in `changes`. ``other_hosts`` are as `other_hosts` has them.
    """
    outcome = _outcome(story)
    return {
        "outcome": outcome,
        "check": story.check,
        "run": story.run.id if story.run else None,
        "service": story.deployment.service.name if story.deployment else None,
        "from_version": story.old_version,
        "to_version": story.new_version,
        "downtime_seconds": _downtime(story),
        "expected_outage_seconds": story.measured("rehearse", "expected_outage_seconds"),
        "phases": [
            {
                "name": each.name,
                "seconds": each.seconds,
                "result": each.result,
                "began": _moment(each.began),
            }
            for each in story.phases
        ],
        "backup": story.measured("backup", "path") or _recovery_point(story) or None,
        "first_backup": story.measured(FIRST_BACKUP, "path"),
        "warnings": _warnings(story),
        "audit": _audit(story),
        "failure": {key: story.failure[key] for key in ("task", "reason")} if story.failure else None,
        "conclusion": _conclusion(story, outcome),
        **_who_and_when(story),
        "findings": [to_dict(finding) for finding in _findings(story)],
        "checks": story.measured("verify", "checks") or {},
        "log": {kind: story.measured("verify", kind) or [] for kind in journal.SEEN},
        **_changes(story),
        "way_back": _way_back(story, outcome),
        "other_hosts": [to_dict(each) for each in _other_hosts(story)],
    }


def _who_and_when(story: Story) -> dict[str, Any]:
    run = story.run
    return {
        "hub": story.deployment.name if story.deployment else None,
        "host": platform.node(),
        "started": run.started if run else None,
        "ended": run.outcome.get("at") if run else None,
        "user": run.user if run else None,
        "controller": run.controller if run else None,
        "command": logs.scrub(run.command) if run else None,
        "stopped_at": _moment(story.measured("stop", "stopped_at")),
    }


def _other_hosts(story: Story) -> list[OtherHost]:
    return [from_dict(OtherHost, each) for each in story.measured(other_hosts.PHASE, "hosts") or []]


def _moment(epoch: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, timezone.utc).isoformat(timespec="milliseconds")


def _findings(story: Story) -> list[Finding]:
    """Those of the plan and of its rehearsal, each once."""
    rehearsed = story.measured("rehearse", "findings") or []
    planned = story.plan.findings if story.plan else ()
    return list(dict.fromkeys([*planned, *(from_dict(Finding, each) for each in rehearsed)]))


def _changes(story: Story) -> dict[str, Any]:
    """Environments, database and advisories."""
    found, plan = story.deployment, story.plan
    if found is None:
        return {"environments": [], "database": None, "advisories": None}
    changed = changes.environments(found, plan, story.phases) if plan else []
    database = changes.database(found, plan, story.phases, serves=story.ended == "new")
    advisories = to_dict(changes.closed_advisories(found, changed)) if changed else None
    return {
        "environments": [to_dict(each) for each in changed],
        "database": to_dict(database),
        "advisories": advisories,
    }


def _way_back(story: Story, outcome: str) -> str | None:
    """The command that undoes a run, None where there is nothing to undo."""
    point = story.measured("backup", "path")
    if outcome not in ("upgraded", "moved", "rolled back") or not point or not story.run:
        return None
    inventory = _INVENTORY.search(story.run.command)
    wanted = ("jupyterhub_recovery_point=" + Path(point).name, "jupyterhub_accept_loss=true")
    return shlex.join(
        [
            *("ansible-playbook", "hubops.jupyterhub.rollback"),
            *("-i", inventory[1] if inventory else "INVENTORY"),
            *(part for each in wanted for part in ("-e", each)),
        ]
    )


def lines(report: dict[str, Any], host: str, path: str = "") -> list[str]:
    """The report as lines for the administrator: verdict, warnings, and the path of the full report."""
    slow = [each for each in report["phases"] if each["seconds"]]
    elsewhere = other_hosts.summary([from_dict(OtherHost, each) for each in report["other_hosts"]])
    return [
        f"{host}: {_verdict(report)}",
        *([] if report["outcome"] == "upgraded" and not report["check"] else [report["conclusion"]]),
        *([f"Other hosts: {elsewhere}"] if elsewhere else []),
        *(f"Warning: {warning}" for warning in report["warnings"]),
        *([f"Audit: {report['audit']}"] if report["audit"] else []),
        *([f"Seconds: {', '.join(_phase(each) for each in slow)}"] if slow else []),
        *([f"Recovery point: {report['backup']}"] if report["backup"] else []),
        *([f"First backup, its restore tested: {report['first_backup']}"] if report["first_backup"] else []),
        *([f"Report: {path}"] if path else []),
    ]


def _verdict(report: dict[str, Any]) -> str:
    """One line: versions, outcome, outage, number of warnings."""
    old, new = report["from_version"], report["to_version"]
    versions = f"JupyterHub {old} -> {new}, " if new and new != old else f"JupyterHub {old}, " if old else ""
    outcome = "checked" if report["check"] else report["outcome"]
    seconds, expected = report["downtime_seconds"], report["expected_outage_seconds"]
    if seconds is None:
        outage = ", outage not measured"
    elif seconds:
        outage = f", outage {seconds:.1f} s" + (f" (about {expected:.0f} s expected)" if expected else "")
    else:
        outage = ", no outage"
    return f"{versions}{outcome}{outage}, {count(len(report['warnings']), 'warning')}"


def count(number: int, noun: str) -> str:
    """``1 warning``, ``2 warnings``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _phase(phase: dict[str, Any]) -> str:
    failed = " (failed)" if phase["result"] == journal.FAILED else ""
    return f"{phase['name']} {phase['seconds']:.1f}{failed}"


def _outcome(story: Story) -> str:
    if story.ended == "old":
        by = story.run.outcome.get("by") if story.run else ""
        return "rolled back" if by == "the rollback" else "restored"
    action = story.plan.action if story.plan else ""
    if story.ended == "new":
        return "moved" if action == MOVE else "upgraded"
    if story.failure or (story.run and story.run.is_over):
        return "failed"
    if story.run and not story.check:
        return "under way"
    return {UPGRADE: "upgraded", MOVE: "moved", ROLLBACK: "rolled back"}.get(action, "unchanged")


def _conclusion(story: Story, outcome: str) -> str:
    """The present state of the hub, and what is to be done."""
    old, new = story.old_version, story.new_version
    if story.plan and story.plan.move and outcome == "moved":
        would = "would be" if story.check else "has been"
        unchanged = "Nothing was changed: the" if story.check else "The"
        return f"{unchanged} database of JupyterHub {old} {would} moved to {story.plan.goal}."
    if story.check and outcome in ("upgraded", "rolled back"):
        return f"Nothing was changed: JupyterHub {old} would become {new}."
    if outcome == "upgraded":
        return f"JupyterHub {old} has become {new}."
    if outcome == "unchanged":
        return f"JupyterHub {old} was left as it is."
    if outcome == "rolled back":
        return f"JupyterHub {old} has been rolled back to {story.measured('restore', 'version')}."
    if outcome == "under way" and story.run:
        return journal.summary(story.run)
    if outcome == "restored" and story.run:
        return _restored(story, story.run)
    return _failed(story)


def _restored(story: Story, run: Run) -> str:
    guarded = ""
    if run.outcome.get("by") == "the guard":
        guarded = (
            f" The guard on the host restored it: {run.outcome.get('reason')}. "
            "The later steps of this run came too late."
        )
    return (
        f"JupyterHub {run.outcome.get('version', story.old_version)} serves again as before.{guarded} "
        f"Files of the failed attempt are in {run.recovery_point}/replaced."
    )


def _failed(story: Story) -> str:
    """What is to be done after a failed run without a restore."""
    why = story.failure.get("restore") or story.failed("restore")
    touched = bool(story.run and story.run.phase not in (journal.PREPARING, journal.ARMED, journal.ENDED))
    if not why and not touched:
        return "Nothing was changed."
    if not touched:
        return (
            f"Nothing was changed. That this run is over could not be recorded: {why} "
            "Fix that and run the playbook again, which records it."
        )
    point = _recovery_point(story)
    stopped = story.measured("stop", "stopped_at") is not None
    left = "The hub is down, and kept down, because it" if stopped else "The users' environments"
    given_up = bool(story.run and story.run.phase == journal.STUCK)
    again = "" if given_up else "The guard on the host tries again. "
    return (
        f"{left} could not be restored either: {why} "
        f"{again}When the cause is fixed, restore on the host with: "
        f"python3 {Path(point).parent.parent}/guard restore - or from the controller with: "
        "ansible HOST -m hubops.jupyterhub.recovery_point "
        f"-a 'state=restored path={point}'"
    )


def _recovery_point(story: Story) -> str:
    """The one that the guard would restore, '' as long as there is no guard."""
    return story.run.recovery_point if story.run else ""


def _downtime(story: Story) -> float | None:
    """Seconds without a hub: 0 where it was never stopped, None where no hub answered or it is unknown."""
    stopped = story.measured("stop", "stopped_at")
    if stopped is None:
        return 0.0
    if story.failure.get("restore") or story.failed("restore"):
        return None
    restored = story.run.outcome.get("answered_at") if story.run else None
    ends = (restored, story.measured("restore", "answered_at"), story.measured("start", "answered_at"))
    answered = next((end for end in ends if end is not None), None)
    return None if answered is None else downtime(stopped, answered)


def _audit(story: Story) -> str | None:
    """What is known of the vulnerabilities of the new packages; None where they were not looked up."""
    ids = {kind.id for kind in OF_AUDIT}
    rehearsed = story.measured("rehearse", "findings") or []
    return next((finding["found"] for finding in rehearsed if finding["id"] in ids), None)


def _warnings(story: Story) -> list[str]:
    """All warnings for the administrator, each once."""
    found = list(story.deployment.config.warnings) if story.deployment else []
    found += [finding.found for finding in _findings(story) if finding.severity == WARNING]
    found += [warning for phase in story.phases for warning in phase.warnings]
    failed = story.failed(FIRST_BACKUP)
    found += [f"There is no backup of the new hub, which serves: {failed} Run backup.yml."] if failed else []
    return list(dict.fromkeys(found))
