"""A plan for the people who review it: one line, Markdown, and the differences that Ansible shows."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import Iterator, Sequence

from ..planning.findings.finding import BLOCKER, SEVERITIES, Finding
from .changes import ObjectChange
from .findings import KEEP, REFUSE, STOP
from .planner import NOTHING, Plan, describe_database


def verdict(plan: Plan) -> str:
    """One line: release, from which chart to which, findings."""
    release = plan.release
    name = f"{release.name} in {release.namespace}"
    now = f"chart {release.chart_version} (JupyterHub {release.jupyterhub_version})"
    if plan.action == NOTHING:
        return f"{name}: {now} already, nothing to do"
    found = Counter(finding.severity for finding in plan.findings)
    counts = [_count(found[each], each) for each in SEVERITIES[:2]]
    to = f"{plan.to_chart_version} (JupyterHub {plan.to_jupyterhub_version})"
    return f"{name}: {now} -> {to}, {', '.join(counts)}"


def summary(plan: Plan) -> list[str]:
    """What the upgrade concerns, as lines."""
    release = plan.release
    people = {each.user for each in release.volumes}
    kinds = Counter(each.change for each in plan.objects)
    objects = ", ".join(f"{number} {change}" for change, number in sorted(kinds.items())) or "none"
    return [
        f"revision {release.deployed_revision} of {release.kubernetes_version}, "
        f"database {describe_database(release)}",
        f"{_count(len(release.servers), 'running server')}{_policy(plan)}, "
        f"{_count(len(release.volumes), 'claim')} of {_count(len(people), 'user')}",
        f"objects: {objects}; values: {len(plan.values)} differ",
    ]


def _policy(plan: Plan) -> str:
    """What becomes of the servers that run."""
    words = {KEEP: "kept", REFUSE: "refused", STOP: "stopped before the upgrade"}
    return f" ({words[plan.running_servers]})" if plan.release.servers else ""


def markdown(plan: Plan) -> str:
    """The plan as Markdown. It holds no secrets."""
    lines = [f"# {verdict(plan)}", "", *(f"- {line}" for line in summary(plan)), ""]
    if plan.findings:
        lines += ["## Findings", ""]
        for finding in plan.findings:
            accept = (
                f" Or accept it: `{finding.id}`." if finding.severity == BLOCKER and finding.accept else ""
            )
            lines += [
                f"- **{finding.severity} {finding.id}**: {finding.found} {finding.why}",
                f"  Fix: {finding.fix}{accept}",
            ]
        lines.append("")
    if plan.release.volumes:
        lines += ["## Volumes", "", "| user | server | claim | size | volume |", "|---|---|---|---|---|"]
        lines += [
            f"| {each.user} | {each.server} | {each.claim} | {each.size} | {each.volume} |"
            for each in plan.release.volumes
        ]
        lines.append("")
    if plan.values:
        lines += ["## Values", "", "| key | before | after |", "|---|---|---|"]
        lines += [f"| `{each.key}` | `{each.before}` | `{each.after}` |" for each in plan.values]
        lines.append("")
    if plan.objects:
        lines += ["## Objects", "", "```diff"]
        for change in plan.objects:
            lines += unified(change)
        lines += ["```", ""]
    return "\n".join(lines)


def rehearsal(
    findings: Sequence[Finding],
    version: str,
    timings: dict[str, float],
    images: dict[str, str],
    digests: dict[str, str],
) -> str:
    """What a rehearsal has shown, as Markdown: a part of the plan. The first of the digests is the hub's."""
    lines = ["", "## Rehearsal", "", rehearsed(findings, version, timings), ""]
    if digests:
        lines += ["| image | JupyterHub | digest |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {images.get(name, version) or 'not known'} | {digest or 'not known'} |"
            for name, digest in digests.items()
        ]
        lines.append("")
    for finding in findings:
        first, _newline, log = finding.found.partition("\n")
        lines += [f"- **{finding.severity} {finding.id}**: {first} {finding.why}", f"  Fix: {finding.fix}"]
        lines += ["", "```text", log, "```", ""] if log else []
    return "\n".join([*lines, ""])


def rehearsed(findings: Sequence[Finding], version: str, timings: dict[str, float]) -> str:
    """One line: whether the new hub came up on the copy, and how long that took."""
    found = Counter(finding.severity for finding in findings)
    counts = ", ".join(_count(found[each], each) for each in SEVERITIES[:2])
    if not version:
        return f"The new hub has not come up on a copy of the database: {counts}."
    parts = " and ".join(
        f"{what} {timings[part]:.1f} s"
        for part, what in (("migrate", "its migration took"), ("start", "its start"))
        if part in timings
    )
    return f"JupyterHub {version} serves on a copy of the database ({parts}): {counts}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def differences(plan: Plan) -> Iterator[str]:
    """The objects and values that change, as lines of a unified difference."""
    for change in plan.objects:
        yield from unified(change)
    for value in plan.values:
        yield f"# {value.key}: {value.before} -> {value.after}"


def unified(change: ObjectChange) -> Iterator[str]:
    """An object's difference; of one that is added or removed only that it is."""
    name = f"{change.kind}/{change.name}"
    if not (change.before and change.after):
        yield f"# {name} is {change.change}"
        return
    before, after = change.before.splitlines(), change.after.splitlines()
    yield from difflib.unified_diff(before, after, name, name, lineterm="", n=2)
