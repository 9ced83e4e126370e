"""The hub's service: whether it runs, whether we may stop it, and what else stops with it."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, Finding, Kind

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
KINDS = (HUB_NOT_RUNNING, NO_PERMISSION)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the service."""
    if not upgrade.changes:
        return
    service = upgrade.deployment["service"]
    if service["state"] != "running":
        yield HUB_NOT_RUNNING.found(
            f"The hub's service {service['name']} is {service['state']}, so it cannot be seen to work."
        )
    if service["manager"] == "systemd" and not upgrade.host.root:
        yield NO_PERMISSION.found(
            f"Stopping {service['name']} needs root, and this runs as {upgrade.host.user}."
        )
