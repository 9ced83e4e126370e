"""The words that stand for a release, and the release that each of them means for one hub today."""

from __future__ import annotations

import concurrent.futures

from ..deployment.model import Deployment
from ..environments.asking import passing_installer
from ..environments.facts import EnvironmentFacts
from ..environments.installer import InstallerOptions
from ..errors import HubError
from ..releases.versions import Release, parse_release
from .upgrade import Policy, environments_of

#: The newest release of the hub's major, and of all; of those that the Python of each environment runs.
PATCH, LATEST = WORDS = ("patch", "latest")


def release_of(wanted: str, deployment: Deployment, policy: Policy, options: InstallerOptions) -> str:
    """The release that ``wanted`` means; a number is itself.

    Raises HubError for what is neither, and where the package index does not answer.
    """
    if wanted not in WORDS:
        try:
            return parse_release(wanted).text
        except HubError as error:
            raise HubError(error.message, f"{error.hint} Or say {PATCH} or {LATEST}.") from None
    if policy.python:
        raise HubError(
            f"Which release is {wanted} cannot be told for another interpreter, {policy.python}.",
            'Name the release, in quotes: jupyterhub_version: "6.1.1".',
        )
    current = parse_release(deployment.jupyterhub)
    below = f",<{current.major + 1}" if wanted == PATCH else ""
    requirement = f"jupyterhub>={current.text}{below}"
    environments = [entry.facts for entry in environments_of(deployment) if entry.facts.python]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(_newest, each, requirement, options) for each in environments]
        return max(min((each.result() for each in asked), default=current), current).text


def _newest(environment: EnvironmentFacts, requirement: str, options: InstallerOptions) -> Release:
    """The release that an installer would leave an environment with."""
    with passing_installer(environment, options) as installer:
        changes = installer.planned(environment.path, [requirement])
    return parse_release(changes.get("jupyterhub") or environment.jupyterhub or "0")
