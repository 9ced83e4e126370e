"""A plan as lines for the administrator, and its changes by staging and rehearsal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PackageChange
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import drift
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import (
    BLOCKER,
    NOTE,
    SEVERITIES,
    Finding,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import NOTHING, Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report import count
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def verdict(plan: Plan, host: str) -> str:
    """One line: from which version to which (or to which database), how long the hub is away, findings."""
    if plan.action == NOTHING:
        return f"{host}: JupyterHub {plan.goal} already, nothing to do"
    found = Counter(finding.severity for finding in plan.findings)
    parts = [f"JupyterHub {plan.from_version} -> {plan.goal}", *_outage(plan)]
    parts += [count(found[severity], severity) for severity in SEVERITIES[:2]]
    return f"{host}: {', '.join(parts)}"


def _outage(plan: Plan) -> list[str]:
    if not plan.outage:
        return ["no outage"]
    seconds = plan.expected_outage_seconds
    return [] if seconds is None else [f"outage about {seconds:.0f} s"]


def lines_of(findings: Iterable[Finding], details: bool) -> list[str]:
    """What was found, blockers first; notes in one line each, unless ``details`` are wanted."""
    lines = []
    for finding in sorted(findings, key=lambda each: SEVERITIES.index(each.severity)):
        line = f"{finding.severity} {finding.id}: {finding.found}"
        if finding.severity == NOTE and not details:
            lines.append(line)
            continue
        accept = f" Or accept it: jupyterhub_accept: [{finding.id}]."
        may = finding.severity == BLOCKER and finding.accept
        lines.append(f"{line} {finding.why}".rstrip())
        lines.append(f"    Fix: {finding.fix}{accept if may else ''}")
    return lines


def changes(reviewed: dict[str, Any], plan: Plan) -> list[str]:
    """What would not be done as it was reviewed, as sentences; ``reviewed`` is as its file has it."""
    try:
        then = from_dict(Plan, reviewed)
    except HubError as error:
        return [
            f"The plan that was reviewed cannot be read: {error.message} "
            "Another version of the collection made it."
        ]
    return drift.changes(then, plan)


def another(fingerprints: dict[str, str], host: str, plan: Plan) -> list[str]:
    """Why a completed plan is not the one whose fingerprint was handed on; empty where it is, or none was."""
    found, wanted = drift.fingerprint(plan), fingerprints.get(host)
    if not fingerprints or wanted == found:
        return []
    if not wanted:
        return [f"No plan of {host} was reviewed. Run plan.yml again, and review that."]
    return [
        f"This is not the plan that was reviewed: its fingerprint is {found[:12]}, and not {wanted[:12]}. "
        "Run plan.yml again, and review that."
    ]


def steps(plan: Plan) -> list[str]:
    """What is going to be done, in its order."""
    return [f"{number}. {step}" for number, step in enumerate(plan.steps, 1)]


def packages(plan: Plan, details: bool) -> list[str]:
    """The packages that change: how many, or with ``details`` each of them."""
    lines = []
    for path, changes in (plan.packages or {}).items():
        lines.append(
            f"{path}: {count(len(changes), 'package')} {'changes' if len(changes) == 1 else 'change'}"
        )
        if details:
            lines += [
                f"    {each.name} {each.from_ or '(none)'} -> {each.to or '(none)'}" for each in changes
            ]
    return lines


def findings_of(rehearsal: dict[str, Any]) -> list[Finding]:
    """What the module ``jupyterhub_rehearse`` has found."""
    return [from_dict(Finding, finding) for finding in rehearsal.get("findings", [])]


def completed(plan: Plan, staged: list[dict[str, Any]], rehearsal: dict[str, Any]) -> Plan:
    """The plan with what staging and rehearsal have shown, as their modules have returned it."""
    return replace(
        plan,
        packages={
            environment["path"]: tuple(from_dict(PackageChange, each) for each in environment["changes"])
            for environment in staged
        },
        findings=(*plan.findings, *findings_of(rehearsal)),
        expected_outage_seconds=rehearsal.get("expected_outage_seconds"),
        rehearsal_seconds=rehearsal.get("timings", {}),
    )
