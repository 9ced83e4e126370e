"""The hub's service: whether it runs, whether it may be stopped, and what else stops with it."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, NOTE, WARNING, Finding, Kind

HUB_NOT_RUNNING = Kind(
    "hub-not-running",
    BLOCKER,
    "The hub does not run.",
    "A hub that failed before the upgrade cannot be distinguished from one that the upgrade broke.",
    "Start it and check that it serves.",
    accept=True,
)
_ASKED_AGAIN = (
    "The same is asked after the upgrade, and after a rollback: both would fail, and the hub would stay down."
)
HUB_DOES_NOT_ANSWER = Kind(
    "hub-does-not-answer",
    BLOCKER,
    "The hub runs, but does not answer at the configured address, or answers as another version.",
    _ASKED_AGAIN,
    "Restart the hub: config or environment may have changed since its start. Its log says what is wrong.",
)
PROXY_DOES_NOT_ANSWER = Kind(
    "proxy-does-not-answer",
    BLOCKER,
    "The hub answers, but its proxy does not forward to it from the configured address.",
    _ASKED_AGAIN,
    "Restart the hub: the address may have changed since its start. Compare bind_url with the proxy's.",
)
INTERNAL_SSL = Kind(
    "internal-ssl",
    BLOCKER,
    "The config has internal_ssl, so the hub answers only clients with one of its certificates.",
    "It cannot be checked, neither before nor after the upgrade.",
    "Set c.JupyterHub.internal_ssl = False and restart the hub, or upgrade it manually.",
)
NO_PERMISSION = Kind(
    "no-permission",
    BLOCKER,
    "The hub is a systemd unit, and Ansible does not run as root.",
    "Only root may stop and start it.",
    "Become root: ansible-playbook --become, or ansible_become: true in the inventory.",
)
KILL_MODE = Kind(
    "kill-mode",
    WARNING,
    "The config leaves servers running when the hub stops, and the unit's KillMode kills them.",
    "systemd ends every process of the unit when it stops, whatever cleanup_servers is; users lose what "
    "they have not saved.",
    "Set KillMode=process in the unit, and daemon-reload, before the upgrade.",
)
SERVERS_RUNNING = Kind(
    "servers-running",
    NOTE,
    "Single-user servers are running.",
    "They stop with the hub, unless its config and its service are set otherwise.",
    "Notify the users beforehand.",
)
KINDS = (
    HUB_NOT_RUNNING,
    HUB_DOES_NOT_ANSWER,
    PROXY_DOES_NOT_ANSWER,
    INTERNAL_SSL,
    NO_PERMISSION,
    KILL_MODE,
    SERVERS_RUNNING,
)

#: KillMode of systemd.kill(5) that leave processes other than the main one alone.
_SPARING = ("process", "none")


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the service."""
    if not upgrade.changes:
        return
    service = upgrade.deployment.service
    if service.state != "running":
        yield HUB_NOT_RUNNING.found(
            f"The hub's service {service.name} is {service.state}, so it cannot be checked."
        )
    unanswered = upgrade.host.unanswered
    if "hub" in unanswered:
        yield HUB_DOES_NOT_ANSWER.found(f"The hub {service.name} runs. {unanswered['hub']}")
    if "proxy" in unanswered:
        yield PROXY_DOES_NOT_ANSWER.found(f"The hub {service.name} answers. {unanswered['proxy']}")
    if upgrade.deployment.config.internal_ssl:
        yield INTERNAL_SSL.found(f"{upgrade.deployment.config.file} sets JupyterHub.internal_ssl.")
    if service.needs_root and not upgrade.host.root:
        yield NO_PERMISSION.found(
            f"Stopping {service.name} needs root, but Ansible runs as {upgrade.host.user}."
        )
    yield from _servers(upgrade)


def _servers(upgrade: Upgrade) -> Iterator[Finding]:
    """What happens to single-user servers; supervisord's stopasgroup reaches none, each is a session."""
    deployment = upgrade.deployment
    service, servers = deployment.service, deployment.database.servers
    if service.kills_servers and deployment.spawner.local and not deployment.config.cleanup_servers:
        yield KILL_MODE.found(
            "c.JupyterHub.cleanup_servers is False, and "
            f"{service.name} has KillMode={service.particulars.get('kill_mode')}."
        )
    if servers:
        yield SERVERS_RUNNING.found(f"{servers} servers are registered as running.")
