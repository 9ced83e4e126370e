"""Versions: what is known of JupyterHub's releases, and how versions are compared."""

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


def satisfies(version: str, specifiers: str) -> bool:
    """Whether ``version`` satisfies all of e.g. ``">=3.8,!=3.9.*"``, as in Requires-Python.

    Raises HubError when either cannot be understood.
    """
    release = parse_release(version)
    return all(_satisfies_one(release, part.strip()) for part in specifiers.split(",") if part.strip())


def _satisfies_one(release: Release, specifier: str) -> bool:
    match = re.fullmatch(r"(~=|===?|!=|<=|>=|<|>)\s*([^\s]+)", specifier)
    if match is None:
        raise HubError(f'"{specifier}" is not a version specifier.', 'Write it like ">=3.10".')
    operator, wanted_text = match.groups()
    if wanted_text.endswith(".*"):
        prefix = parse_release(wanted_text[:-2]).numbers
        starts_so = _padded(release.numbers, len(prefix))[: len(prefix)] == prefix
        return starts_so if operator in ("==", "===") else not starts_so
    wanted = parse_release(wanted_text)
    if operator == "~=":
        prefix = wanted.numbers[:-1]
        return release >= wanted and _padded(release.numbers, len(prefix))[: len(prefix)] == prefix
    return {
        "==": release == wanted,
        "===": release.text == wanted.text,
        "!=": release != wanted,
        "<=": release <= wanted,
        ">=": release >= wanted,
        "<": release < wanted,
        ">": release > wanted,
    }[operator]


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))


@dataclass(frozen=True)
class Series:
    """What all releases of one major have in common (wheels on PyPI and their ``alembic/versions``)."""

    major: int
    requires_python: str
    schema_head: str


SERIES = {
    series.major: series
    for series in (
        Series(1, ">=3.5", "4dc2d5a8c53c"),
        Series(2, ">=3.6", "833da8570507"),
        Series(3, ">=3.7", "651f5419b74d"),
        Series(4, ">=3.7", "0eee8c825d24"),
        Series(5, ">=3.8", "4621fec11365"),
        Series(6, ">=3.10", "f460b0348206"),
    )
}

# Alembic's revisions from the schema of 1.x to that of 6.x, oldest first, with the hub's major they lead to.
REVISIONS = {
    "4dc2d5a8c53c": 1,
    "833da8570507": 2,
    "651f5419b74d": 3,
    "0eee8c825d24": 4,
    "3c2384c5aae1": 5,
    "4621fec11365": 5,
    "be8ecf03ddac": 6,
    "afd65840b69e": 6,
    "ff1860e38070": 6,
    "f460b0348206": 6,
}

_KNOWN_BAD = (
    (">=4.1.0,<=4.1.3", "its XSRF check breaks applications behind the proxy", "4.1.6"),
    (">=5.4.0,<=5.4.2", "it mishandles stopped servers when it starts", "5.4.6"),
)


def requires_python(release: Release) -> str | None:
    """Requires-Python of a hub release, e.g. ``">=3.10"``; None for a major this table does not know."""
    series = SERIES.get(release.major)
    if series is None:
        return None
    # 1.0 is the only minor that differs from its series' last: 1.2 dropped Python 3.5.
    if release.major == 1 and release.numbers[1:2] >= (2,):
        return ">=3.6"
    return series.requires_python


def schema_head(release: Release) -> str | None:
    """The alembic revision a release wants; None for a major this table does not know."""
    series = SERIES.get(release.major)
    return series.schema_head if series else None


def major_of_revision(revision: str) -> int | None:
    """The hub's major that made a database's revision; None for a revision this table does not know."""
    return REVISIONS.get(revision)


def known_problem(release: Release) -> tuple[str, str] | None:
    """Why a release should not be a target, and a better one; None when nothing is known against it."""
    for specifiers, problem, better in _KNOWN_BAD:
        if satisfies(release.text, specifiers):
            return problem, better
    return None


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
