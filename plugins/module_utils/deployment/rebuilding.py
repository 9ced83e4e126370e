"""Rebuilding: environments whose interpreter is gone are built again, at the same versions.

An upgrade of the operating system does that to venvs. The hub does not start then, and its config cannot be
loaded: so its own environment comes first, and tells of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..environments import as_owner, interpreter, staging
from ..environments.discovery import expand_environments
from ..environments.environment import read_environment
from ..environments.facts import EnvironmentFacts
from ..environments.installer import InstallerOptions
from ..environments.kinds import environment_of
from ..environments.planned import REBUILD, PackageChange, PlannedEnvironment
from ..environments.staged import package_changes
from ..environments.transitions import alone
from ..errors import HubError
from ..progress import Progress
from ..releases import catalogue
from ..releases.versions import parse_release
from ..services.base import Service
from ..services.kinds import find_services
from ..system.exchange import exchange, move
from .discovery import choose, environment_of_hub, find_deployment


@dataclass(frozen=True)
class Rebuilt:
    """An environment that was built again, or would be; RETURN of ``jupyterhub_rebuild`` describes it."""

    path: str
    fault: str
    jupyterhub: str
    python: str
    aside: str
    changes: tuple[PackageChange, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What the inventory says; empty values are found. ``python`` is a path."""

    service: str = ""
    config_file: str = ""
    hub_environment: str = ""
    user_environments: tuple[str, ...] = ()
    python: str = ""


def rebuild(wanted: Wanted, options: InstallerOptions, progress: Progress, check: bool) -> list[Rebuilt]:
    """Rebuild what cannot run; ``check`` only says what that would be.

    Raises HubError: the hub still runs, an environment is of another kind than a venv, a package is not
    available, no interpreter. The environment in question is unchanged then, and the old one of each that was
    rebuilt stands beside it.
    """
    service = choose(find_services(wanted.service or None), wanted.service or None)
    hub = wanted.hub_environment or environment_of_hub(service, service.hub_command(), service.context())
    done = []
    for path, role in _environments(wanted, hub, check):
        fault = interpreter.fault(Path(path))
        if fault:
            _require_stopped(service, path, hub, fault)
            done.append(_rebuild(path, role, fault, wanted.python, options, progress, check))
    return done


def _environments(wanted: Wanted, hub: str, check: bool) -> Iterator[tuple[str, str]]:
    """Path and role of each; the hub's comes first: the config that names the others needs it to run."""
    yield hub.rstrip("/"), "hub"
    if check and interpreter.fault(Path(hub)):
        others = expand_environments(wanted.user_environments)
    else:
        found = find_deployment(
            wanted.service or None,
            config_file=wanted.config_file or None,
            hub_environment=hub,
            user_environments=wanted.user_environments,
        )
        others = [each.path for each in found.user_environments]
    yield from ((path.rstrip("/"), "user") for path in others)


def _require_stopped(service: Service, path: str, hub: str, fault: str) -> None:
    if path == hub and service.hub_process():
        raise HubError(
            f"{path} cannot run any more ({fault}), and the hub that runs was started from it before that.",
            f"Stop {service.name}, then rebuild: the hub is started again afterwards.",
        )


def _rebuild(
    path: str,
    role: str,
    fault: str,
    python: str,
    options: InstallerOptions,
    progress: Progress,
    check: bool,
) -> Rebuilt:
    """Build one environment beside the old one, and exchange the two."""
    facts = read_environment(path)
    if facts.jupyterhub is None:
        raise HubError(
            f"{path} cannot run, and has no jupyterhub to rebuild it for: {fault}.",
            "Rebuild it manually, or leave it out of jupyterhub_user_environments.",
        )
    entry = _entry(facts, facts.jupyterhub, role, python)
    aside = f"{path}.broken-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    if check:
        return Rebuilt(path, fault, facts.jupyterhub, entry.python, aside)
    progress(f"{path} cannot run: {fault}")
    with alone([entry]):
        environment = environment_of(facts.kind, path)
        staged = environment.stage(entry, environment.make_installer(options, path, progress), progress)
        as_owner.do(path, _put_in_place, Path(path), Path(entry.staged_path), Path(aside))
    return Rebuilt(
        path,
        fault,
        facts.jupyterhub,
        entry.python,
        aside,
        tuple(package_changes(staged.packages_before, staged.packages_after)),
        tuple(staged.warnings),
    )


def _entry(facts: EnvironmentFacts, version: str, role: str, python: str) -> PlannedEnvironment:
    series = catalogue.series_of(parse_release(version))
    requires = series.requires_python if series else ""
    return PlannedEnvironment(
        path=facts.path,
        kind=facts.kind,
        role=role,
        strategy=REBUILD,
        python=python or interpreter.choose(facts.python_version, requires),
        staged_path=f"{facts.path}.staged-{version}",
        jupyterhub=version,
        requirements=(f"jupyterhub=={version}",),
    )


def _put_in_place(progress: Progress, place: Path, new: Path, aside: Path) -> None:
    # It takes the old one's place in every record as well.
    _inherit_marker(place, new)
    exchange(place, new)
    move(new, aside)


def _inherit_marker(old: Path, new: Path) -> None:
    marker = staging.read_marker(old)
    if marker:
        staging.write_marker(new, marker)
    else:
        (new / staging.MARKER).unlink()
