"""Packages: conflicts in the new environments."""

from __future__ import annotations

import re
from typing import Iterator

from ...databases import urls
from ...releases import catalogue
from ...releases.requirements import parse_requirement, seems_to_satisfy
from ...releases.versions import parse_release
from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind

PACKAGES_CONFLICT = Kind(
    "packages-conflict",
    BLOCKER,
    "Installed packages are incompatible with the versions of others that the target needs.",
    "They fail when they are imported, or later.",
    "Name compatible versions in jupyterhub_packages (jupyterhub_user_packages); a bare name is the newest.",
)
PACKAGES_NOT_AVAILABLE = Kind(
    "packages-not-available",
    BLOCKER,
    "The installer finds no versions that meet all requirements.",
    "The new environment cannot be staged.",
    "Name compatible versions in jupyterhub_packages (jupyterhub_user_packages).",
)
PACKAGES_NOT_CHECKED = Kind(
    "packages-not-checked",
    WARNING,
    "The installer could not report what it would install: no answer in time, or a pip without dry runs.",
    "Incompatible packages are found only while the new environments are staged.",
    "Install uv on the host, or a pip of 22.2 or later in the environment.",
)
SQLALCHEMY_TOO_NEW = Kind(
    "sqlalchemy-too-new",
    BLOCKER,
    "The target is 3.1.0 or older, and the new environment would have SQLAlchemy 2.",
    "Such a hub answers --version and does not start.",
    'jupyterhub_packages: ["sqlalchemy<2"], or a newer target.',
)
DATABASE_PATH_DECODED = Kind(
    "database-path-decoded",
    BLOCKER,
    "The database's name has a percent sign, and SQLAlchemy crosses 2.1.",
    "From 2.1 on escapes in the name are decoded: the new hub would open another database, and start empty.",
    'Write each % as %25 after the upgrade; or keep SQLAlchemy 2.0: jupyterhub_packages: ["sqlalchemy<2.1"].',
)
PACKAGE_TOO_OLD = Kind(
    "package-too-old",
    WARNING,
    "An authenticator or spawner is known not to work with the target, or older than what is known to work.",
    "Log-ins or servers may fail after the upgrade, though all imports succeed.",
    "Name a newer release of it in jupyterhub_packages.",
)
REPLACED_BY_INSTALLER = Kind(
    "replaced-by-installer",
    BLOCKER,
    "A package of the hub's environment has a list of requirements that has no place for the target.",
    "Its own installer installs what is in the list, as that of The Littlest JupyterHub: its next run would "
    "put an earlier version back, which cannot use the migrated database.",
    "Upgrade that package first, by its own installer, to a release that has the target; or name a version "
    "that the list allows.",
    accept=True,
)
PACKAGES_SHADOWED = Kind(
    "packages-shadowed",
    WARNING,
    "The hub imports packages from PYTHONPATH or from a ~/.local folder instead of its environment.",
    "The new hub would import these old packages instead of the staged ones.",
    "Remove them, remove PYTHONPATH from the service, or set PYTHONNOUSERSITE=1.",
)
KINDS = (
    PACKAGES_CONFLICT,
    PACKAGES_NOT_AVAILABLE,
    PACKAGES_NOT_CHECKED,
    SQLALCHEMY_TOO_NEW,
    DATABASE_PATH_DECODED,
    PACKAGE_TOO_OLD,
    REPLACED_BY_INSTALLER,
    PACKAGES_SHADOWED,
)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """Conflicts between packages."""
    shadowed = upgrade.deployment.config.shadowed
    if shadowed:
        files = ", ".join(f"{name} ({file})" for name, file in sorted(shadowed.items()))
        yield PACKAGES_SHADOWED.found(f"The hub imports {files}.")
    if not upgrade.changes or upgrade.target.problem:
        return
    yield from _resolved(upgrade)
    yield from _listed(upgrade)
    hub = upgrade.deployment.hub_environment.path
    after = upgrade.packages_after(hub)
    yield from _sqlalchemy(upgrade, after.get("sqlalchemy", ""))
    for package in catalogue.incompatible_packages(parse_release(upgrade.target.version)):
        version = after.get(package.name)
        if version and seems_to_satisfy(version, package.versions, unclear=False):
            yield PACKAGE_TOO_OLD.found(
                f"{package.name} {version} in {hub} {package.problem} ({package.source}).",
                f"Take {package.better}, in jupyterhub_packages where it is a package.",
            )


def _resolved(upgrade: Upgrade) -> Iterator[Finding]:
    """Results of the installer's dry run."""
    for path, resolution in upgrade.host.resolved.items():
        if not resolution.answered:
            yield PACKAGES_NOT_CHECKED.found(f"{path}: {resolution.problem}", resolution.hint)
        elif resolution.problem and not _wrong_python(upgrade, path):
            yield PACKAGES_NOT_AVAILABLE.found(resolution.problem, resolution.hint)
        if resolution.conflicts:
            yield PACKAGES_CONFLICT.found(f"In {path}: {' '.join(resolution.conflicts)}")


def _listed(upgrade: Upgrade) -> Iterator[Finding]:
    """Lists of requirements that allow the hub's version of today, and not the target."""
    for file, lines in upgrade.host.requirement_files.items():
        for wanted in filter(None, map(parse_requirement, lines)):
            if wanted.name != "jupyterhub" or not seems_to_satisfy(
                upgrade.current, wanted.specifiers, unclear=False
            ):
                continue
            if not seems_to_satisfy(upgrade.target.version, wanted.specifiers, unclear=True):
                yield REPLACED_BY_INSTALLER.found(f"{file} requires jupyterhub{wanted.specifiers}.")


def _wrong_python(upgrade: Upgrade, path: str) -> bool:
    """Whether the environment's Python is too old for the target, which is a finding of its own."""
    environments = upgrade.deployment.environments
    python = next((each.python_version for each in environments if each.path.rstrip("/") == path), None)
    return bool(python) and not seems_to_satisfy(str(python), upgrade.target.requires_python, unclear=False)


def _sqlalchemy(upgrade: Upgrade, after: str) -> Iterator[Finding]:
    series = catalogue.series_of(parse_release(upgrade.target.version))
    if after and series and not seems_to_satisfy(after, series.sqlalchemy, unclear=True):
        yield SQLALCHEMY_TOO_NEW.found(
            f"JupyterHub {upgrade.target.version} would get SQLAlchemy {after}, which it does not start with."
        )
    before = upgrade.deployment.hub_environment.packages.get("sqlalchemy", "")
    url = upgrade.deployment.database.url
    escaped = re.search(r"%[0-9A-Fa-f]{2}", urls.parse(url).database)
    if escaped and before and after and urls.decodes(after) and not urls.decodes(before):
        yield DATABASE_PATH_DECODED.found(
            f"The database {url} has {escaped[0]} in its name, and SQLAlchemy {before} becomes {after}."
        )
