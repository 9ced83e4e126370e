"""The wheels that an upgrade of a deployment installs, for a machine that downloads them beforehand."""

from __future__ import annotations

import sys
from pathlib import Path

from ..databases.drivers import missing_drivers
from ..deployment.model import Deployment
from ..environments import interpreter
from ..environments.as_owner import stand_in
from ..environments.installer import InstallerOptions, find_uv
from ..environments.kinds import environment_of
from ..environments.packages import addresses, all_packages
from ..environments.wheel_need import WheelNeed, this_platform
from ..releases.versions import parse_release
from . import intermediate_versions
from .upgrade import (
    Policy,
    UsedEnvironment,
    environments_of,
    interpreter_for,
    missing,
    requirements_of,
)


def wheel_needs(
    deployment: Deployment, version: str, policy: Policy, options: InstallerOptions
) -> list[WheelNeed]:
    """What the environments of a deployment are going to get, and uv where the host has none; only reads.

    Left out is an environment that has all of it, that no upgrade can change, or whose new one is an image.
    Raises HubError where wheels cannot be downloaded for this host, and for a ``version`` that is no number.
    """
    version = parse_release(version).text
    constraints = _lines(options.constraints)
    found = [
        _need(used, deployment, version, policy, constraints)
        for used in environments_of(deployment)
        if _takes_wheels(used) and missing(used, version, all_packages(used.path), policy)
    ]
    if not found:
        return []
    hub = deployment.hub_environment
    python = interpreter.version_of(policy.python) if policy.python else hub.python_version
    found += [
        WheelNeed(
            each.staged_path, _minor(python), this_platform(), each.requirements, constraints=constraints
        )
        for each in intermediate_versions.needed(deployment, version, policy.python)
    ]
    if options.installer != "pip" and not find_uv(stand_in(hub.path), options):
        here = ".".join(map(str, sys.version_info[:2]))
        found.append(WheelNeed(options.builder_folder, here, this_platform(), ("uv",)))
    return found


def _takes_wheels(used: UsedEnvironment) -> bool:
    environment = environment_of(used.facts.kind, used.path)
    return environment.can_be_upgraded and not environment.comes_with_python


def _need(
    used: UsedEnvironment,
    deployment: Deployment,
    version: str,
    policy: Policy,
    constraints: tuple[str, ...],
) -> WheelNeed:
    """What one environment is going to get."""
    packages, another = all_packages(used.path), interpreter_for(used.facts, policy)
    requirements = requirements_of(used, version, policy)
    if used.role != "user":
        # Which SQLAlchemy it gets is not known here: any driver that the URL may stand for.
        unsettled = {name: each for name, each in packages.items() if name != "sqlalchemy"}
        drivers = missing_drivers(deployment.database.url, unsettled)
        requirements += [driver.requirement for driver in drivers]
    if another:
        # What came from an address is fetched from there.
        elsewhere = addresses(Path(used.path))
        packages = {name: each for name, each in packages.items() if name not in elsewhere}
    return WheelNeed(
        used.path,
        _minor(interpreter.version_of(another) if another else used.facts.python_version),
        this_platform(),
        tuple(requirements),
        packages,
        from_scratch=bool(another),
        constraints=constraints,
    )


def _minor(version: str | None) -> str:
    return ".".join((version or "").split(".")[:2])


def _lines(constraints: str) -> tuple[str, ...]:
    return tuple(Path(constraints).read_text(encoding="utf-8").splitlines()) if constraints else ()
