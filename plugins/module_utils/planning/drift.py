"""A reviewed plan, compared with what would be done now."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Sequence

from ..deployment.server_images import REMOVE
from .findings import audit, server_images
from .findings.finding import Finding
from .plan import Plan

#: Sizes, times and process numbers differ each time, and are no reason to review again.
NUMBERS = re.compile(r"\d[\d.,:]*")
#: What is known of the same packages changes by itself, and users make containers, from one day to the next.
UNSETTLED = {kind.id for kind in audit.KINDS} | {server_images.STALE_CONTAINERS.id}


def changes(reviewed: Plan, plan: Plan) -> list[str]:
    """What would not be done as it was reviewed, as sentences; empty when all would.

    Compared are versions, environments, releases in between, packages and findings, those without their
    numbers; not how long it takes. Of a plan that staging and rehearsal have not completed yet, which has no
    packages, only what neither of them can change: findings and intermediate versions may still be added.
    One that was reviewed before it was staged has shown no packages, so any are as reviewed.
    """
    completed = plan.packages is not None
    changed = [*_changed_versions(reviewed, plan), *_changed_environments(reviewed, plan)]
    changed += _changed_servers(reviewed, plan)
    if completed or plan.intermediate_versions:
        changed += _changed_intermediate_versions(reviewed, plan)
    if completed and reviewed.packages is not None:
        changed += _changed_packages(reviewed, plan)
    return changed + _changed_findings(reviewed.findings, plan.findings, completed)


def fingerprint(plan: Plan) -> str:
    """The same for two completed plans of which `changes` finds none, in hexadecimal.

    A job that has no file of an earlier one is handed this.
    """
    packages = {
        path: sorted((each.name, each.to or "") for each in changed)
        for path, changed in (plan.packages or {}).items()
        if changed
    }
    compared = (
        (plan.from_version, plan.to_version),
        sorted((path, list(each.requirements), each.strategy) for path, each in plan.everywhere.items()),
        plan.running_servers or "",
        [each.version for each in plan.intermediate_versions],
        packages,
        sorted(_described(plan.findings)),
    )
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()


def _changed_versions(reviewed: Plan, plan: Plan) -> list[str]:
    then, now = (f"from {each.from_version} to {each.to_version}" for each in (reviewed, plan))
    return [] if then == now else [f"The upgrade is {now}, and not {then}."]


def _changed_environments(reviewed: Plan, plan: Plan) -> list[str]:
    def described(each: Plan) -> dict[str, str]:
        return {
            path: f"{', '.join(entry.requirements)} ({entry.strategy})"
            for path, entry in each.everywhere.items()
        }

    return _differences(described(reviewed), described(plan), "not upgraded")


def _changed_servers(reviewed: Plan, plan: Plan) -> list[str]:
    changed = []
    then, now = reviewed.running_servers, plan.running_servers
    if then != now:
        changed.append(f"Users' servers that run: {now or 'none'}, and not {then or 'none'}.")
    # That there are none any more is no reason to review again, nor that there are some which stay.
    if plan.stale_containers == REMOVE != reviewed.stale_containers:
        changed.append("Users' containers that have an old image are removed, and not kept.")
    return changed


def _changed_intermediate_versions(reviewed: Plan, plan: Plan) -> list[str]:
    then, now = (
        f"through JupyterHub {', '.join(entry.version for entry in each.intermediate_versions)}"
        if each.intermediate_versions
        else "in one step"
        for each in (reviewed, plan)
    )
    return [] if then == now else [f"The database is migrated {now}, and not {then}."]


def _changed_packages(reviewed: Plan, plan: Plan) -> list[str]:
    def described(each: Plan) -> dict[str, str]:
        return {
            f"{change.name} in {path}": change.to or "nothing"
            for path, changed in (each.packages or {}).items()
            for change in changed
        }

    return _differences(described(reviewed), described(plan), "as it is")


def _differences(then: dict[str, str], now: dict[str, str], absent: str) -> list[str]:
    return [
        f"{name}: {now.get(name, absent)}, and not {then.get(name, absent)}."
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]


def _changed_findings(reviewed: Sequence[Finding], plan: Sequence[Finding], completed: bool) -> list[str]:
    then, now = _described(reviewed), _described(plan)
    return [
        *(f"New since the review: {now[key]}" for key in now if key not in then),
        *(f"Not found any more: {then[key]}" for key in then if completed and key not in now),
    ]


def _described(findings: Sequence[Finding]) -> dict[tuple[str, str, str], str]:
    """The findings that are compared: what makes two of them the same, and how it is told."""
    return {
        (each.id, each.severity, NUMBERS.sub("#", each.found)): f"{each.severity} {each.id}: {each.found}"
        for each in findings
        if each.id not in UNSETTLED
    }
