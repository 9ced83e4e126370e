"""The hub's service: whether it runs, whether we may stop it, and what else stops with it."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, NOTE, WARNING, Finding, Kind

HUB_NOT_RUNNING = Kind(
    "hub-not-running",
    BLOCKER,
    "The hub does not run.",
    "A hub that did not work before the upgrade cannot be told from one that the upgrade broke.",
    "Start it and see that it serves.",
    accept=True,
)
NO_PERMISSION = Kind(
    "no-permission",
    BLOCKER,
    "The hub is a unit of systemd, and we are not root.",
    "Only root may stop and start it.",
    "Become root: ansible-playbook --become, or ansible_become: true in the inventory.",
)
KILL_MODE = Kind(
    "kill-mode",
    WARNING,
    "The config leaves servers running when the hub stops, and the unit's KillMode kills them.",
    "systemd ends every process of the unit when it stops, whatever cleanup_servers says; people lose what "
    "they "
    "have not saved.",
    "Set KillMode=process in the unit, and daemon-reload, before the upgrade.",
)
SERVERS_RUNNING = Kind(
    "servers-running",
    NOTE,
    "Servers of users are running.",
    "They are stopped with the hub, unless its own config and its service say otherwise.",
    "Tell people beforehand.",
)
KINDS = (HUB_NOT_RUNNING, NO_PERMISSION, KILL_MODE, SERVERS_RUNNING)

#: KillMode of systemd.kill(5) that leave processes other than the main one alone.
_SPARING = ("process", "none")


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the service."""
    if not upgrade.changes:
        return
    service = upgrade.deployment.service
    if service.state != "running":
        yield HUB_NOT_RUNNING.found(
            f"The hub's service {service.name} is {service.state}, so it cannot be seen to work."
        )
    if service.needs_root and not upgrade.host.root:
        yield NO_PERMISSION.found(
            f"Stopping {service.name} needs root, and this runs as {upgrade.host.user}."
        )
    yield from _servers(upgrade)


def _servers(upgrade: Upgrade) -> Iterator[Finding]:
    """What becomes of users' servers. supervisord's stopasgroup does not reach them: each is a session."""
    deployment = upgrade.deployment
    service, servers = deployment.service, deployment.database.servers
    if service.kills_servers and deployment.spawner.local and not deployment.config.cleanup_servers:
        yield KILL_MODE.found(
            "c.JupyterHub.cleanup_servers is False, and "
            f"{service.name} has KillMode={service.particulars.get('kill_mode')}."
        )
    if servers:
        yield SERVERS_RUNNING.found(f"{servers} servers are registered as running.")
