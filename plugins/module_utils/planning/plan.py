"""The plan: what is to be done, as it is shown, reviewed and carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..databases.facts import DatabaseFacts
from ..environments.planned import (
    IntermediateVersion,
    LeftOut,
    PackageChange,
    Planned,
    PlannedEnvironment,
    PlannedHost,
)
from ..shapes import from_dict
from .findings.finding import BLOCKER, Finding

UPGRADE, MOVE, ROLLBACK, NOTHING = "upgrade", "move", "rollback", "nothing"
#: Whether a fresh database may take the place of one that cannot be migrated.
NEVER, WHEN_MIGRATION_FAILS = FRESH_DATABASE = "never", "when_migration_fails"


@dataclass(frozen=True)
class Move:
    """Where a hub's database is moved to; its address with password is in no plan."""

    database: DatabaseFacts
    """The new one, as the hub is going to have it."""
    config_file: str
    """The file that names the database."""
    diff: str
    """How that is changed; passwords are masked."""


@dataclass(frozen=True)
class Plan:
    """What is to be done; RETURN of ``jupyterhub_plan`` says what each field means."""

    from_version: str
    to_version: str
    action: str
    outage: bool
    environments: tuple[PlannedEnvironment, ...]
    migrate: bool | None
    intermediate_versions: tuple[IntermediateVersion, ...]
    state_folder: str
    recovery_point_folder: str
    bytes_needed: dict[str, int]
    findings: tuple[Finding, ...]
    steps: tuple[str, ...]
    packages: dict[str, tuple[PackageChange, ...]] | None = None
    expected_outage_seconds: float | None = None
    rehearsal_seconds: dict[str, float] | None = None
    basis: str = ""
    left_out: tuple[LeftOut, ...] = ()
    move: Move | None = None
    """None but for a move of the database."""
    running_servers: str = ""
    """What becomes of users' servers that run; '' where there is no outage, or the hub does not run."""
    fresh_database: str = ""
    """Why a fresh database takes the place of the old one; '' where that is migrated, or stays as it is."""
    stale_containers: str = ""
    """What becomes of users' containers that have an old image; '' where there are none."""
    singleuser_hosts: tuple[PlannedHost, ...] = ()
    """Other hosts of single-user servers, and what is changed there."""

    @property
    def goal(self) -> str:
        """What the hub is going to have: a version, or a database."""
        return self.move.database.url if self.move else self.to_version

    @property
    def staged(self) -> tuple[Planned, ...]:
        """What is staged, or was: the new environments and the intermediate versions."""
        return (*self.environments, *self.intermediate_versions)

    @property
    def everywhere(self) -> dict[str, PlannedEnvironment]:
        """All environments that are changed, by their paths; those of other hosts by path and host."""
        found = {entry.path: entry for entry in self.environments}
        for other in self.singleuser_hosts:
            found.update({f"{entry.path} on {other.host}": entry for entry in other.environments})
        return found

    @property
    def migrating_environment(self) -> str:
        """Where the hub's new environment is before the switch, '' where it is the one that is there."""
        staged = (each for each in self.environments if each.role != "user" and not each.in_place)
        return next((each.staged_path for each in staged), "")

    def without(self, left_out: Sequence[LeftOut]) -> Plan:
        """The same without environments that cannot be upgraded after all, named as in `everywhere`."""
        paths = {each.path for each in left_out}
        others = tuple(
            replace(
                other,
                environments=tuple(
                    each for each in other.environments if f"{each.path} on {other.host}" not in paths
                ),
            )
            for other in self.singleuser_hosts
        )
        return replace(
            self,
            environments=tuple(each for each in self.environments if each.path not in paths),
            left_out=(*self.left_out, *left_out),
            singleuser_hosts=tuple(other for other in others if other.environments),
        )

    @property
    def blockers(self) -> list[Finding]:
        """The findings that forbid the upgrade."""
        return [finding for finding in self.findings if finding.severity == BLOCKER]


def outline(action: str, from_version: str, to_version: str) -> Plan:
    """A plan of versions alone: of a rollback, or of what an earlier version recorded."""
    return Plan(
        from_version=from_version,
        to_version=to_version,
        action=action,
        outage=action != NOTHING,
        environments=(),
        migrate=False,
        intermediate_versions=(),
        state_folder="",
        recovery_point_folder="",
        bytes_needed={},
        findings=(),
        steps=(),
    )


@dataclass(frozen=True)
class FallbackPath:
    """What changes of a plan whose migration fails."""

    intermediate_versions: tuple[IntermediateVersion, ...]
    steps: tuple[str, ...]
    running_servers: str
    fresh_database: str


def read_plan(data: Any) -> Plan | None:
    """The plan that a module is given; None where it is empty, as for a backup or a rollback."""
    return from_dict(Plan, data) if data else None
