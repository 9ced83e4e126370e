"""What becomes of the servers of users who work while their hub is upgraded."""

from __future__ import annotations

import os

from ..environments.planned import IN_PLACE, REBUILD
from .upgrade import Upgrade

AUTO = "auto"
#: They run on; they are stopped, once they are idle or at once; or there must be none.
KEEP, WAIT, STOP, REFUSE = WAYS = ("keep", "wait", "stop", "refuse")
CHOICES = (AUTO, *WAYS)
STOPPING = (WAIT, STOP)

#: Steps of the plan.
SENTENCES = {
    KEEP: "Have users' servers run on, and their proxy.",
    WAIT: "Wait until nobody uses their server, and stop users' servers.",
    STOP: "Stop users' servers.",
    REFUSE: "Go on only where no user's server runs.",
}
#: What is found of servers that run.
FOUND = {
    KEEP: "they run on, with their kernels",
    WAIT: "they are stopped once they are idle",
    STOP: "they are stopped",
    REFUSE: "the upgrade is refused",
}


def chosen(upgrade: Upgrade) -> str:
    """One of `WAYS`: the administrator's, or else they are kept where that is safe, and stopped where not.

    '' where the hub does not run, so that it cannot be asked for any of them.
    """
    if upgrade.deployment.service.state != "running":
        return ""
    wanted = upgrade.policy.running_servers
    return (STOP if obstacles(upgrade) else KEEP) if wanted == AUTO else wanted


def obstacles(upgrade: Upgrade) -> list[str]:
    """Why servers that run cannot be kept, a sentence each."""
    found = []
    deployment = upgrade.deployment
    if deployment.spawner.local and not deployment.service.sees_host:
        found.append("They run in the hub's container, which is replaced.")
    if upgrade.crosses(2):
        found.append("Servers of JupyterHub 1 do not work with a later hub.")
    if upgrade.crosses(6) and deployment.config.oauth_require_pkce:
        found.append(
            "JupyterHub.oauth_require_pkce is on, which servers of JupyterHub 5 and earlier do not know."
        )
    for entry in upgrade.environments:
        if entry.role != "hub" and entry.strategy in (IN_PLACE, REBUILD) and _is_used(entry.path, upgrade):
            how = "upgraded in place" if entry.strategy == IN_PLACE else "built anew with another Python"
            found.append(f"{entry.path} is {how}, while servers run in it.")
    return found


def _is_used(path: str, upgrade: Upgrade) -> bool:
    """Whether servers run in an environment of this host; those of a container have their own."""
    spawner = upgrade.deployment.spawner
    return spawner.local or any(os.path.abspath(word).startswith(f"{path}/") for word in spawner.command[:1])
