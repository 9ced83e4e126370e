"""Single-user servers: their names, their command, and their interface."""

from __future__ import annotations

import os
import re
from typing import Iterator

from ..upgrade import Upgrade, environments_of
from .finding import BLOCKER, WARNING, Finding, Kind, listing

NAMED_SERVERS = Kind(
    "named-servers",
    WARNING,
    "Named servers have names that 6.0 does not allow for new ones.",
    "They still start, but an API client that creates one gets an error, and 7.0 will not start them "
    "(https://jupyterhub.readthedocs.io/en/stable/howto/upgrading-v6.html).",
    "Rename them, or read about allow_existing_invalid_named_servers; autorename moves no volumes or "
    "folders.",
)
NO_JUPYTERLAB = Kind(
    "no-jupyterlab",
    WARNING,
    "An environment of single-user servers has no JupyterLab, and the upgrade crosses 2.0.",
    "From 2.0 on JupyterLab is the default interface.",
    "jupyterhub_user_packages: [jupyterlab], or set c.Spawner.default_url to the installed interface.",
)
SINGLE_USER_ARGUMENTS = Kind(
    "single-user-arguments",
    WARNING,
    "The single-user command is a script that mentions --ip or --port, and the upgrade crosses 2.0.",
    "From 2.0 on the hub passes address and port in JUPYTERHUB_SERVICE_URL alone.",
    "Have the script read JUPYTERHUB_SERVICE_URL, or leave both to jupyterhub-singleuser.",
)
LABHUB = Kind(
    "labhub",
    WARNING,
    "The single-user command is jupyter-labhub, and the upgrade crosses 2.0.",
    "JupyterLab 3 has dropped it: servers do not start once JupyterLab is newer.",
    "Set c.Spawner.cmd to jupyterhub-singleuser, and c.Spawner.default_url to /lab.",
)
SERVERS_ELSEWHERE = Kind(
    "servers-elsewhere",
    WARNING,
    "Single-user servers are started by a class whose servers are not known to be processes of this host.",
    "The environments of other hosts were not looked at, and servers need the same version as the hub.",
    "Name those hosts in the inventory group jupyterhub_singleuser; where they share this host's "
    "environments, name those in jupyterhub_user_environments, unless the plan has them.",
)
VERIFY_USER = Kind(
    "verify-user-unknown",
    BLOCKER,
    "The hub has no user of the name in jupyterhub_verify_user.",
    "The verification could not start a server with the new hub, and the old hub would be restored.",
    "Name one of its users, or leave jupyterhub_verify_user out.",
)
KINDS = (NAMED_SERVERS, NO_JUPYTERLAB, SINGLE_USER_ARGUMENTS, LABHUB, SERVERS_ELSEWHERE, VERIFY_USER)

#: jupyterhub/slugs.py of 6.0: small letters, digits and single hyphens, a letter first, no hyphen last.
_NAME = re.compile(r"[a-z](?:(?:[a-z0-9]|-(?!-))*[a-z0-9])?")
_LONGEST_NAME = 30


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What changes for single-user servers, and whether one can be started as a proof."""
    if not upgrade.host.knows_user:
        yield VERIFY_USER.found(f"There is no user {upgrade.policy.verify_user}.")
    elsewhere = upgrade.deployment.spawner.elsewhere
    if elsewhere and upgrade.changes and not upgrade.elsewhere:
        yield SERVERS_ELSEWHERE.found(f"{listing(elsewhere)} may start servers on other hosts.")
    if upgrade.crosses(6):
        names = upgrade.deployment.database.server_names
        bad = [name for name in names if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name)]
        if bad:
            yield NAMED_SERVERS.found(f"{len(bad)} names of servers: {listing(bad)}.")
    if upgrade.crosses(2):
        yield from _crossing_2(upgrade)


def _crossing_2(upgrade: Upgrade) -> Iterator[Finding]:
    for environment in environments_of(upgrade.deployment):
        path = environment.path
        if environment.role != "hub" and "jupyterlab" not in upgrade.packages_after(path):
            yield NO_JUPYTERLAB.found(f"{path} has no jupyterlab.")
    path, text = upgrade.host.single_user_script
    if re.search(r"--(ip|port)\b", text):
        yield SINGLE_USER_ARGUMENTS.found(f"{path} mentions --ip or --port.")
    command = upgrade.deployment.spawner.command
    if any(os.path.basename(word) == "jupyter-labhub" for word in command):
        yield LABHUB.found(f"c.Spawner.cmd is {' '.join(command)}.")
