"""How a run ended on other hosts of single-user servers than the hub's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: The phase of a run whose record has them.
PHASE = "other hosts"
UPGRADED, RESTORED, UNCHANGED, LEFT_OUT, FAILED = "upgraded", "restored", "unchanged", "left out", "failed"


@dataclass(frozen=True)
class OtherHost:
    """A host on which servers of the hub run, by its name in the inventory."""

    host: str
    ended: str
    """One of the words above."""
    why: str = ""
    """Why it was left out, or has failed."""

    @property
    def line(self) -> str:
        return f"On {self.host}: {self.why}"


def warnings(hosts: Iterable[OtherHost]) -> list[str]:
    """What an administrator has to see to; that one is left out is a finding of the plan."""
    return [each.line for each in hosts if each.ended == FAILED]


def summary(hosts: Sequence[OtherHost]) -> str:
    """``18 upgraded, 2 left out (node3, node7)``; '' where there are none."""
    parts = []
    for ended in (UPGRADED, RESTORED, UNCHANGED, LEFT_OUT, FAILED):
        names = [each.host for each in hosts if each.ended == ended]
        named = f" ({', '.join(names)})" if ended in (LEFT_OUT, FAILED) else ""
        parts += [f"{len(names)} {ended}{named}"] if names else []
    return ", ".join(parts)
