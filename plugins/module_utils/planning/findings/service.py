"""The hub's service: whether it runs, whether it may be stopped, and what else stops with it."""

from __future__ import annotations

import os
import shlex
from typing import Iterator

from ...environments.image_builder import BUILT
from ...hub import logs
from ...services.facts import ServiceFacts
from .. import running_servers
from ..upgrade import Upgrade
from .finding import BLOCKER, NOTE, WARNING, Finding, Kind, listing

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
PACKAGES_REPLACED = Kind(
    "packages-replaced",
    BLOCKER,
    "The hub that runs has another version than the packages in its environment.",
    "They were replaced while it ran: what runs cannot be started again, so no rollback could restore it.",
    "Install the version that runs into the environment again, restart the hub, check it, and upgrade it.",
)
CHANGED_SINCE_START = Kind(
    "changed-since-start",
    WARNING,
    "Config, unit, certificates, packages or variables have changed since the hub was started.",
    "Upgrade and rollback start a hub with the new ones, which the hub that runs has never been tried with.",
    "Restart the hub before the upgrade, to see that it works with them. The rehearsal starts it with them.",
)
PROXY_ELSEWHERE = Kind(
    "proxy-elsewhere",
    WARNING,
    "The proxy is external, and does not lead to the hub from the configured address.",
    "It is not asked there after the upgrade either. That it has the hub's route is asked of the hub.",
    "Check after the upgrade that users reach the hub; or set bind_url to an address of that proxy.",
)
SYNCHRONIZED_AT_START = Kind(
    "synchronized-at-start",
    BLOCKER,
    "The service starts the hub with `uv run`, which synchronizes the environment with the project first.",
    "It would take the upgrade back at the start, in the outage.",
    "Add --no-sync to the command, or upgrade the project: uv add jupyterhub==VERSION.",
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
SERVERS_RUNNING = Kind(
    "servers-running",
    NOTE,
    "Single-user servers are running.",
    "They run on, unless jupyterhub_running_servers is set otherwise or something speaks against it. Users "
    "of servers that are stopped lose what they have not saved.",
    "Notify the users beforehand.",
)
SERVERS_NOT_KEPT = Kind(
    "servers-not-kept",
    BLOCKER,
    "Single-user servers are to run on, and cannot.",
    "They would not work with the new hub, or break when they import what has changed.",
    "Set jupyterhub_running_servers to wait or stop.",
)
SERVERS_REFUSED = Kind(
    "servers-refused",
    BLOCKER,
    "Single-user servers are running, and jupyterhub_running_servers is refuse.",
    "Their users would lose what they have not saved.",
    "Wait until they have stopped, or set jupyterhub_running_servers to keep, wait or stop.",
)
SERVICE_NOT_REPLACEABLE = Kind(
    "service-not-replaceable",
    BLOCKER,
    "The hub's container cannot be replaced by one of another image, and put back.",
    "Whoever keeps it running would start the old image again, or the old container would be gone.",
    "Have the engine start it instead: docker run --detach --restart unless-stopped, without --rm.",
)
PACKAGES_LOST = Kind(
    "packages-lost",
    WARNING,
    "Packages were installed by hand in the hub's container.",
    "They are in the container and not in its image: the one that takes its place does not have them.",
    "Install in the new image what the hub needs of them.",
)
IMAGE_BUILT = Kind(
    "image-built",
    WARNING,
    "No image is named in jupyterhub_image: one is built from the hub's by the pip that is in it.",
    "Where an image has a Dockerfile, that still says the old release: whoever builds it goes back.",
    "Name the release there after the upgrade; or build the image now, and name it in jupyterhub_image.",
)
COMPOSE_FILE = Kind(
    "compose-file",
    WARNING,
    "The hub's container was made by Compose, whose file names the old image.",
    "The next `docker compose up` that makes the container again (after `down`, or a change of the file) "
    "starts the old hub, on a migrated database: it does not start.",
    "Change the image there once the upgrade has succeeded, and back after a rollback.",
)
KINDS = (
    HUB_NOT_RUNNING,
    HUB_DOES_NOT_ANSWER,
    PROXY_DOES_NOT_ANSWER,
    PACKAGES_REPLACED,
    CHANGED_SINCE_START,
    PROXY_ELSEWHERE,
    SYNCHRONIZED_AT_START,
    INTERNAL_SSL,
    NO_PERMISSION,
    SERVERS_RUNNING,
    SERVERS_NOT_KEPT,
    SERVERS_REFUSED,
    SERVICE_NOT_REPLACEABLE,
    PACKAGES_LOST,
    IMAGE_BUILT,
    COMPOSE_FILE,
)

#: Keys of `verification.unanswered`.
_UNANSWERED = {
    "start": (HUB_NOT_RUNNING, "does not stay up."),
    "hub": (HUB_DOES_NOT_ANSWER, "runs."),
    "version": (PACKAGES_REPLACED, "answers."),
    "proxy": (PROXY_DOES_NOT_ANSWER, "answers."),
    "elsewhere": (PROXY_ELSEWHERE, "answers."),
}


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the service."""
    if not upgrade.changes:
        return
    service = upgrade.deployment.service
    if service.state != "running":
        yield HUB_NOT_RUNNING.found(
            f"The hub's service {service.name} is {service.state}, so it cannot be checked."
        )
    for what, reason in upgrade.host.unanswered.items():
        kind, before = _UNANSWERED[what]
        yield kind.found(f"The hub {service.name} {before} {reason}")
    if upgrade.host.differences:
        yield CHANGED_SINCE_START.found(
            f"The hub {service.name} runs as it was started before: {'; '.join(upgrade.host.differences)}."
        )
    if _is_synchronized(service):
        yield SYNCHRONIZED_AT_START.found(f"{service.name} runs `{logs.scrub(shlex.join(service.command))}`.")
    if upgrade.deployment.config.internal_ssl:
        yield INTERNAL_SSL.found(f"{upgrade.deployment.config.file} sets JupyterHub.internal_ssl.")
    if service.needs_root and not upgrade.host.root:
        yield NO_PERMISSION.found(
            f"Stopping {service.name} needs root, but Ansible runs as {upgrade.host.user}."
        )
    for obstacle in service.obstacles:
        yield SERVICE_NOT_REPLACEABLE.found(f"The container {service.name} cannot be replaced. {obstacle}")
    if service.lost:
        lost = ", ".join(service.lost)
        # Compose would take a second container for the hub's, so that the old one does not stay.
        later = " A rollback from an accepted upgrade has none of it either." if service.defined_in else ""
        yield PACKAGES_LOST.found(f"The container {service.name} has {lost}, and its image does not.{later}")
    yield from _images(upgrade)
    yield from _servers(upgrade)


def _images(upgrade: Upgrade) -> Iterator[Finding]:
    """What the image that the hub is started from has beside it that still names the old one."""
    service = upgrade.deployment.service
    resolution = upgrade.host.resolved.get(upgrade.deployment.hub_environment.path.rstrip("/"))
    image = resolution.image if resolution else ""
    if image.startswith(f"{BUILT}/"):
        yield IMAGE_BUILT.found(f"{image} was built from the image of {service.name}.")
    if service.defined_in:
        fix = f"Once the upgrade has succeeded, have it say `image: {image}`; back after a rollback."
        yield COMPOSE_FILE.found(service.defined_in, fix if image else "")


def _is_synchronized(service: ServiceFacts) -> bool:
    """Whether uv changes the environment before it starts the hub."""
    names = [os.path.basename(word) for word in service.command]
    if "uv" not in names or "UV_NO_SYNC" in service.environment_names:
        return False
    words = names[names.index("uv") :]
    return "run" in words and not {"--no-sync", "--no-project"}.intersection(words)


def _servers(upgrade: Upgrade) -> Iterator[Finding]:
    """What happens to single-user servers."""
    servers, chosen = upgrade.deployment.database.servers, running_servers.chosen(upgrade)
    obstacles = " ".join(running_servers.obstacles(upgrade))
    if chosen == running_servers.KEEP and obstacles:
        yield SERVERS_NOT_KEPT.found(f"Users' servers cannot run on. {obstacles}")
    if servers and chosen == running_servers.REFUSE:
        yield SERVERS_REFUSED.found(
            f"Servers are registered as running: {listing(upgrade.host.running_servers)}."
        )
    elif servers and chosen:
        found = f"{servers} servers are registered as running; {running_servers.FOUND[chosen]}."
        is_forced = chosen == running_servers.STOP and upgrade.policy.running_servers == running_servers.AUTO
        yield SERVERS_RUNNING.found(f"{found} {obstacles}".rstrip() if is_forced else found)
