"""What a run has changed, by its record: environments with their packages, the database, open advisories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..databases.facts import DatabaseFacts
from ..deployment.model import Deployment
from ..environments.facts import EnvironmentFacts
from ..environments.planned import PackageChange
from ..planning.plan import Plan
from ..releases import advisories
from ..shapes import from_dict
from .journal import FAILED, Phase

#: Phases that return packages, the later of which knows better.
_WITH_PACKAGES = ("stage", "upgrade in place", "switch")


@dataclass(frozen=True)
class EnvironmentChange:
    """An environment that the run is about."""

    path: str
    role: str
    """``hub``, ``user`` or ``both``."""
    strategy: str
    from_: str | None
    """The version of JupyterHub that it had."""
    to: str
    python: str | None
    """The version of its Python, as it was found."""
    packages: tuple[PackageChange, ...]


@dataclass(frozen=True)
class DatabaseChange:
    """The database before the run, and after it where a new hub has it."""

    name: str
    to_name: str
    """Another one where it was moved."""
    from_revision: str | None
    to_revision: str | None
    rows_before: dict[str, int] | None
    """Number of rows of each table; None where the database could not be read."""
    rows_after: dict[str, int] | None
    """None where no new hub serves."""


@dataclass(frozen=True)
class Advisories:
    """Ids of security advisories: those that the run closes, and those that it leaves open."""

    closed: tuple[str, ...]
    open: tuple[str, ...]


def environments(deployment: Deployment, plan: Plan, phases: Iterable[Phase]) -> list[EnvironmentChange]:
    """The environments of a plan, each with the packages that have changed or are going to."""
    packages = _packages(plan, phases)
    pythons = {entry.path.rstrip("/"): entry.python_version for entry in _found(deployment)}
    return [
        EnvironmentChange(
            path=entry.path,
            role=entry.role,
            strategy=entry.strategy,
            from_=entry.jupyterhub,
            to=plan.to_version,
            python=pythons.get(entry.path),
            packages=tuple(packages.get(entry.path, ())),
        )
        for entry in plan.environments
    ]


def database(
    deployment: Deployment, plan: Plan | None, phases: Iterable[Phase], serves: bool
) -> DatabaseChange:
    """The database before and after: ``serves`` says whether the new hub does."""
    measured = {each.name: each.measured for each in phases if each.result != FAILED}
    found = deployment.database
    sealed = measured.get("seal", {}).get("database", {})
    migrated, moved = measured.get("migrate", {}), measured.get("move", {})
    before = migrated.get("rows_before") or sealed.get("rows") or found.rows
    after = migrated.get("rows_after") or moved.get("rows") or before
    revision = migrated.get("from_revision") or sealed.get("revision") or found.revision
    return DatabaseChange(
        name=found.name,
        to_name=_target(plan, found).name,
        from_revision=revision,
        to_revision=(migrated.get("to_revision") or revision) if serves else None,
        rows_before=before,
        rows_after=after if serves else None,
    )


def closed_advisories(deployment: Deployment, changed: Sequence[EnvironmentChange]) -> Advisories:
    """What the changes of environments mean for known vulnerabilities."""
    packages = {entry.path: entry.packages for entry in changed}
    before, after = set(), set()
    for entry in _found(deployment):
        new = {**entry.packages, **{each.name: each.to for each in packages.get(entry.path.rstrip("/"), ())}}
        before |= _open(entry.packages)
        after |= _open({name: version for name, version in new.items() if version})
    return Advisories(tuple(sorted(before - after)), tuple(sorted(after)))


def _open(packages: dict[str, str]) -> set[str]:
    return {each.id for each in advisories.open_in(packages)}


def _found(deployment: Deployment) -> list[EnvironmentFacts]:
    return [deployment.hub_environment, *deployment.user_environments]


def _target(plan: Plan | None, found: DatabaseFacts) -> DatabaseFacts:
    return plan.move.database if plan and plan.move else found


def _packages(plan: Plan, phases: Iterable[Phase]) -> dict[str, list[PackageChange]]:
    """Packages that change, by the path of their environment."""
    found = {path: list(changes) for path, changes in (plan.packages or {}).items()}
    for name in _WITH_PACKAGES:
        for phase in phases:
            if phase.name == name and phase.result != FAILED:
                # A switch that was repeated finds nothing to change any more.
                for entry in (each for each in phase.measured.get("environments", []) if each["changes"]):
                    found[entry["path"]] = [from_dict(PackageChange, each) for each in entry["changes"]]
    return found
