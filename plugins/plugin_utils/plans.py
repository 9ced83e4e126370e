"""A plan as a person reads it, and what becomes of it when staging and rehearsal have been seen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import drift
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report import count
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict

SEVERITIES = ("blocker", "warning", "note")


def verdict(plan: dict[str, Any], host: str) -> str:
    """One line: from which version to which, how long the hub is away, how much was found."""
    if plan["action"] == "nothing":
        return f"{host}: JupyterHub {plan['to_version']} already, nothing to do"
    found = Counter(finding["severity"] for finding in plan["findings"])
    parts = [f"JupyterHub {plan['from_version']} -> {plan['to_version']}", *_outage(plan)]
    parts += [count(found[severity], severity) for severity in SEVERITIES[:2]]
    return f"{host}: {', '.join(parts)}"


def _outage(plan: dict[str, Any]) -> list[str]:
    if not plan["outage"]:
        return ["no outage"]
    seconds = plan.get("expected_outage_seconds")
    return [] if seconds is None else [f"outage about {seconds:.0f} s"]


def lines_of(findings: list[dict[str, Any]], details: bool) -> list[str]:
    """What was found, blockers first; notes in one line each, unless ``details`` are wanted."""
    lines = []
    for finding in sorted(findings, key=lambda each: SEVERITIES.index(each["severity"])):
        severity, name, found = (finding[key] for key in ("severity", "id", "found"))
        if severity == "note" and not details:
            lines.append(f"note {name}: {found}")
            continue
        accept = f" Or accept it: jupyterhub_accept: [{name}]."
        may = severity == "blocker" and finding["accept"]
        lines.append(f"{severity} {name}: {found} {finding['why']}".rstrip())
        lines.append(f"    Fix: {finding['fix']}{accept if may else ''}")
    return lines


def changes(reviewed: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """What would not be done as it was reviewed, as sentences."""
    try:
        then = from_dict(Plan, reviewed)
    except HubError as error:
        return [
            f"The plan that was reviewed cannot be read: {error.message} "
            "Another version of the collection made it."
        ]
    return drift.changes(then, from_dict(Plan, plan))


def steps(plan: dict[str, Any]) -> list[str]:
    """What is going to be done, in its order."""
    return [f"{number}. {step}" for number, step in enumerate(plan["steps"], 1)]


def packages(plan: dict[str, Any], details: bool) -> list[str]:
    """The packages that change: how many, or with ``details`` each of them."""
    lines = []
    for path, changes in plan["packages"].items():
        lines.append(
            f"{path}: {count(len(changes), 'package')} {'changes' if len(changes) == 1 else 'change'}"
        )
        if details:
            lines += [
                f"    {each['name']} {each['from'] or '(none)'} -> {each['to'] or '(none)'}"
                for each in changes
            ]
    return lines


def completed(
    plan: dict[str, Any], staged: list[dict[str, Any]], rehearsal: dict[str, Any]
) -> dict[str, Any]:
    """The plan with what staging and rehearsal have shown."""
    return {
        **plan,
        "packages": {environment["path"]: environment["changes"] for environment in staged},
        "findings": [*plan["findings"], *rehearsal.get("findings", [])],
        "expected_outage_seconds": rehearsal.get("expected_outage_seconds"),
        "rehearsal_seconds": rehearsal.get("timings", {}),
    }
