"""The plan: what is to be done, as it is shown, reviewed and carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..environments.planned import IntermediateVersion, PackageChange, PlannedEnvironment
from ..shapes import from_dict
from .findings.finding import BLOCKER, Finding

UPGRADE, NOTHING = "upgrade", "nothing"


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

    @property
    def blockers(self) -> list[Finding]:
        """The findings that forbid the upgrade."""
        return [finding for finding in self.findings if finding.severity == BLOCKER]


@dataclass(frozen=True)
class FallbackPath:
    """What changes of a plan whose migration fails in one step."""

    intermediate_versions: tuple[IntermediateVersion, ...]
    steps: tuple[str, ...]


def read_plan(data: Any) -> Plan | None:
    """The plan that a module is given; None where it is empty, as for a backup or a rollback."""
    return from_dict(Plan, data) if data else None
