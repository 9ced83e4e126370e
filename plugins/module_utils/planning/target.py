"""The release that is wanted, and what it needs."""

from __future__ import annotations

from pathlib import Path

from ..databases.schema import head_revision, revisions
from ..deployment.model import Deployment
from ..environments.asking import target_facts
from ..environments.installer import InstallerOptions
from ..environments.packages import site_packages
from ..errors import HubError
from ..releases import catalogue
from ..releases.config_options import read_options
from ..releases.versions import parse_release
from .upgrade import Target


def find_target(deployment: Deployment, version: str, options: InstallerOptions) -> Target:
    """The target as its own wheel describes it, or the hub's environment where it has that version already.

    An index that cannot be reached or does not have the version is no exception but the target's ``problem``,
    so that it can be reported with all other findings. Raises HubError for a malformed version.
    """
    environment = deployment.hub_environment
    if environment.jupyterhub == version:
        path = environment.path
        series = catalogue.series_of(parse_release(version))
        requires_python = series.requires_python if series else ""
        return Target(
            version, requires_python, head_revision(path), list(revisions(path)), installed_options(path)
        )
    try:
        facts = target_facts(version, environment, options)
    except HubError as error:
        return Target(version, problem=error.message, hint=error.hint)
    return Target(
        facts["version"],
        facts["requires_python"],
        facts["schema_head"],
        facts["revisions"],
        facts["options"],
    )


def installed_options(environment: str) -> dict[str, list[str]]:
    """The options that the jupyterhub of an environment knows, by class; read from disk."""
    packages = (folder / "jupyterhub" for folder in site_packages(Path(environment)))
    return next((read_options(package) for package in packages if package.is_dir()), {})
