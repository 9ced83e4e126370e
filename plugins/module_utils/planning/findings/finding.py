"""Finding: something an administrator should know before the upgrade, and the kind that it is of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

BLOCKER, WARNING, NOTE = SEVERITIES = ("blocker", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """What was found on this host, why it matters and how to fix it.

    ``accept`` says whether a blocker may be accepted by its ``id`` in ``jupyterhub_accept``.
    """

    id: str
    severity: str
    found: str
    why: str
    fix: str
    accept: bool = False


@dataclass(frozen=True)
class Kind:
    """What findings of one id have in common; ``what`` is `Finding.found` for any host."""

    id: str
    severity: str
    what: str
    why: str
    fix: str
    accept: bool = False

    def found(self, found: str, fix: str = "", why: str = "") -> Finding:
        """A finding of this kind; ``fix`` and ``why`` where more than the general is known."""
        return Finding(self.id, self.severity, found, why or self.why, fix or self.fix, self.accept)


def sentence(finding: Finding) -> str:
    """A finding as a person reads it: what was found, why it matters, how to fix it."""
    accept = f"Or accept it: jupyterhub_accept: [{finding.id}]."
    blocks = finding.severity == BLOCKER and finding.accept
    parts = [finding.found, finding.why, finding.fix, accept if blocks else ""]
    return " ".join(part for part in parts if part)


def in_lines(finding: Finding) -> str:
    """A finding with its id as text: what, and what to do; then the log, where its message ends with one."""
    first_line, newline, log = finding.found.partition("\n")
    return f"{finding.id}: {sentence(replace(finding, found=first_line))}{newline}{log}"


def frequent(findings: Iterable[tuple[str, Finding]]) -> list[tuple[Finding, list[str]]]:
    """Findings of hosts by their id, the most urgent and most frequent first, each with its hosts.

    Of those with one id the first stands for all.
    """
    first: dict[str, Finding] = {}
    hosts: dict[str, list[str]] = {}
    for host, finding in findings:
        first.setdefault(finding.id, finding)
        if host not in hosts.setdefault(finding.id, []):
            hosts[finding.id].append(host)
    ranked = sorted(first, key=lambda each: (SEVERITIES.index(first[each].severity), -len(hosts[each]), each))
    return [(first[each], hosts[each]) for each in ranked]


def listing(names: list[str], most: int = 5) -> str:
    """``a, b and 3 more``."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
