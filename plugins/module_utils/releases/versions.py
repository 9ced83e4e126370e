"""Versions: how they are read, and how those of a hub and of its single-user servers are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import total_ordering
from typing import Collection

from ..errors import HubError

_RELEASE = re.compile(
    r"""v?(?P<numbers>\d+(?:\.\d+)*)
        (?:[-_.]?(?P<stage>a|alpha|b|beta|rc|c)[-_.]?(?P<stage_number>\d*))?
        (?:[-_.]?post[-_.]?(?P<post>\d+))?
        (?:[-_.]?dev[-_.]?(?P<dev>\d*))?
        (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.IGNORECASE,
)
_STAGES = {"a": "a", "alpha": "a", "b": "b", "beta": "b", "rc": "rc", "c": "rc"}
_FINAL = ("z", 0)


@total_ordering
@dataclass(frozen=True, eq=False)
class Release:
    """One release number after PEP 440, as far as JupyterHub and Python use it: no epochs."""

    text: str
    numbers: tuple[int, ...]
    stage: tuple[str, int] = _FINAL
    post: int = -1
    dev: int | None = None
    local: str = field(default="")

    @property
    def major(self) -> int:
        return self.numbers[0]

    @property
    def is_prerelease(self) -> bool:
        return self.stage != _FINAL or self.dev is not None

    @property
    def _key(self) -> tuple[object, ...]:
        numbers = list(self.numbers)
        while len(numbers) > 1 and numbers[-1] == 0:
            numbers.pop()
        # 1.0.dev1 comes before 1.0a1, but 1.0a1.dev1 just before 1.0a1.
        stage = ("", 0) if self.dev is not None and self.stage == _FINAL and self.post < 0 else self.stage
        dev = float("inf") if self.dev is None else self.dev
        return (tuple(numbers), stage, self.post, dev, self.local)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Release) and self._key == other._key

    def __lt__(self, other: Release) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self.text


def parse_release(text: str) -> Release:
    """``"5.0.0b1"`` as a Release. Raises HubError when it is not a version number."""
    match = _RELEASE.fullmatch(text.strip())
    if match is None:
        raise HubError(f'"{text}" is not a version number.', 'Write it like "6.1.1", in quotes.')
    stage = _FINAL
    if match["stage"]:
        stage = (_STAGES[match["stage"].lower()], int(match["stage_number"] or 0))
    return Release(
        text=text.strip(),
        numbers=tuple(int(number) for number in match["numbers"].split(".")),
        stage=stage,
        post=-1 if match["post"] is None else int(match["post"]),
        dev=None if match["dev"] is None else int(match["dev"] or 0),
        local=(match["local"] or "").lower(),
    )


OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Verdict:
    """``ok``, ``warn`` or ``fail``, and why."""

    verdict: str
    reason: str


OTHER_MAJOR = "other_major"
NEWER = "newer"
ALLOWANCES = (OTHER_MAJOR, NEWER)


def compare(hub: Release, singleuser: Release, allow: Collection[str] = ()) -> Verdict:
    """Judge a single-user environment's JupyterHub against the hub's.

    Equal is ok, the same major warns, another major fails, newer than the hub fails. ``allow`` turns a
    failure into a warning: ``other_major`` for an older major, ``newer`` for a newer release. What never
    works stays a failure: 1.x and 2 or later do not understand each other.
    """
    if hub == singleuser:
        return Verdict(OK, f"It has the hub's version {hub}.")
    facts = f"It has JupyterHub {singleuser}, the hub has {hub}"
    if (hub.major < 2) != (singleuser.major < 2):
        return Verdict(FAIL, f"{facts}: 1.x and later majors never work together.")
    if singleuser > hub:
        return Verdict(WARN if NEWER in allow else FAIL, f"{facts}: newer than the hub is unsupported.")
    if singleuser.major != hub.major:
        return Verdict(WARN if OTHER_MAJOR in allow else FAIL, f"{facts}: another major.")
    return Verdict(WARN, f"{facts}: the same major, another release.")
