"""Resolution: the packages that the installer would leave in each environment, and their conflicts."""

from __future__ import annotations

import concurrent.futures
import re
from pathlib import Path

from ..databases.drivers import missing_drivers
from ..deployment.model import Deployment
from ..environments.asking import passing_installer
from ..environments.facts import EnvironmentFacts
from ..environments.installer import InstallerOptions
from ..environments.kinds import environment_of
from ..environments.packages import all_packages, declared_requirements
from ..environments.pip_settings import read_pip_settings
from ..errors import HubError
from ..releases.requirements import parse_requirement, seems_to_satisfy
from .upgrade import Policy, Resolution, environments_of, interpreter_for, missing, requirements_of

#: A dry run that failed for one of these is no result about the packages.
_NO_ANSWER = re.compile(
    r"package index could not be reached|conda channel could not be reached|no such option|--dry-run",
    re.IGNORECASE,
)


def resolve(
    deployment: Deployment, version: str, policy: Policy, options: InstallerOptions
) -> dict[str, Resolution]:
    """What staging would install, by the environment's path; nothing is installed, and nothing left behind.

    An environment that is rebuilt for another interpreter is left out: its packages are chosen then. So is
    one that cannot be upgraded.
    """
    wanted = {}
    for environment in environments_of(deployment):
        path, facts = environment.path, environment.facts
        able = environment_of(facts.kind, path).can_be_upgraded
        if not able or not facts.python or interpreter_for(facts, policy):
            continue
        if missing(environment, version, all_packages(path), policy):
            url = "" if environment.role == "user" else deployment.database.url
            wanted[path] = facts, requirements_of(environment, version, policy), url
    # The installer is asked once for all that hold the same, as those of many users do.
    first: dict[str, str] = {}
    like = {path: first.setdefault(_question(*asked), path) for path, asked in wanted.items()}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        found = dict(
            zip(first.values(), pool.map(lambda path: _resolve_one(*wanted[path], options), first.values()))
        )
        # What cannot be resolved is said of each, by its name.
        others = [path for path in wanted if path not in found and found[like[path]].problem]
        found.update(zip(others, pool.map(lambda path: _resolve_one(*wanted[path], options), others)))
    return {path: found.get(path, found[like[path]]) for path in wanted}


def _question(environment: EnvironmentFacts, requirements: list[str], url: str) -> str:
    """All that decides what the installer answers of an environment; its path where it is like no other."""
    path = environment.path
    if not environment_of(environment.kind, path).can_be_a_copy:
        return path
    return repr(
        (
            environment.kind,
            environment.python_version,
            sorted(all_packages(path).items()),
            sorted(declared_requirements(Path(path)).items()),
            sorted(read_pip_settings(path).items()),
            requirements,
            url,
        )
    )


def _resolve_one(
    environment: EnvironmentFacts, requirements: list[str], url: str, options: InstallerOptions
) -> Resolution:
    path = environment.path
    before = all_packages(path)
    obstacles = environment_of(environment.kind, path).obstacles(requirements)
    if obstacles:
        return Resolution(before, obstacles=obstacles)
    drivers = missing_drivers(url, before)
    try:
        with passing_installer(environment, options) as installer:
            changes = installer.planned(path, requirements)
            drivers = missing_drivers(url, {**before, **changes})
            if drivers:
                added = [driver.requirement for driver in drivers]
                changes = installer.planned(path, [*requirements, *added])
    except HubError as error:
        return Resolution(
            before,
            drivers=drivers,
            problem=error.message,
            hint=error.hint,
            answered=not _NO_ANSWER.search(str(error)),
        )
    after = {**before, **changes}
    python = environment.python_version or ""
    conflicting = conflicts(declared_requirements(Path(path)), before, after, python)
    return Resolution(after, conflicting, drivers, image=installer.image)


def conflicts(
    declared: dict[str, list[str]], before: dict[str, str], after: dict[str, str], python: str
) -> list[str]:
    """Conflicts of unchanged packages with the new versions of others, one sentence each.

    ``declared`` has their Requires-Dist. Whatever changes was chosen to fit, and what did not fit before is
    not the upgrade's doing.
    """
    found = []
    for name, requirements in sorted(declared.items()):
        if before.get(name) != after.get(name):
            continue
        for requirement in filter(None, map(parse_requirement, requirements)):
            if not requirement.applies(python):
                continue
            other, specifiers = requirement.name, requirement.specifiers
            old, new = before.get(other), after.get(other)
            if new and old and new != old and _fits(old, specifiers) and not _fits(new, specifiers):
                found.append(f"{name} {before[name]} requires {other} {specifiers}, which would be {new}.")
    return found


def _fits(version: str, specifiers: str) -> bool:
    """Whether a version satisfies specifiers; what cannot be understood is not held against it."""
    return seems_to_satisfy(version, specifiers, unclear=True)
