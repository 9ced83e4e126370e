"""What a plan asks for: environments to be changed, and those that a migration goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union

from ..shapes import from_dict

#: What becomes of an upgrade when a single-user environment cannot take part: it stops, or goes on without.
FAIL, REPORT = ENVIRONMENT_FAILURES = ("fail", "report")
IN_PLACE = "in_place"
REBUILD = "rebuild"
INTERMEDIATE = "intermediate"


@dataclass(frozen=True)
class PlannedEnvironment:
    """An environment that an upgrade changes; RETURN of ``jupyterhub_plan`` says what each field means."""

    path: str
    kind: str
    role: str
    strategy: str
    python: str
    staged_path: str
    jupyterhub: str | None
    requirements: tuple[str, ...]
    imports: tuple[str, ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether it is upgraded where it is; nothing is staged then."""
        return self.strategy == IN_PLACE


@dataclass(frozen=True)
class LeftOut:
    """A single-user environment that stays as it is, because it cannot be upgraded."""

    path: str
    why: str


@dataclass(frozen=True)
class PlannedHost:
    """The environments that an upgrade changes on another host of single-user servers."""

    host: str
    environments: tuple[PlannedEnvironment, ...]


@dataclass(frozen=True)
class IntermediateVersion:
    """A release that a migration goes through, in an environment for that alone, which is never in place."""

    version: str
    path: str
    kind: str
    staged_path: str
    strategy: str
    python: str
    requirements: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class PackageChange:
    """A package that differs; None stands for not installed."""

    name: str
    from_: str | None
    to: str | None


Planned = Union[PlannedEnvironment, IntermediateVersion]


def planned(data: dict[str, Any]) -> Planned:
    """The one or the other, as the plan says. Raises HubError where it is neither."""
    if data.get("strategy") == INTERMEDIATE:
        return from_dict(IntermediateVersion, data)
    return from_dict(PlannedEnvironment, data)
