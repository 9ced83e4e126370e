"""Images of single-user servers: whether they have the release, and which containers have old ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Iterator

from ...deployment.server_images import REMOVE, ServerImage, StaleContainer
from ...releases.versions import FAIL, WARN, compare, parse_release
from ...system.images import short
from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind, listing

SERVER_IMAGE_MISSING = Kind(
    "server-image-missing",
    BLOCKER,
    "The image that servers start from after the upgrade is not on the host, and cannot be had.",
    "No user could start a server.",
    "Pull or build it on the host, or name another one in c.DockerSpawner.image.",
    accept=True,
)
SERVER_IMAGE_VERSION = Kind(
    "server-image-version",
    BLOCKER,
    "An image that servers start from has another major of JupyterHub than the target, or a newer release.",
    "Servers of another major do not start, or lose their users' requests.",
    "Build it with the target, and name it in c.DockerSpawner.image or allowed_images: a hub that runs reads "
    "its config when it starts the next time.",
    accept=True,
)
SERVER_IMAGE_RELEASE = Kind(
    "server-image-release",
    WARNING,
    "An image that servers start from has another release of the target's major.",
    "It works, and the hub warns at each start of a server.",
    "Build it with the target.",
)
SERVER_IMAGE_UNKNOWN = Kind(
    "server-image-unknown",
    WARNING,
    "It could not be read which JupyterHub an image that servers start from has.",
    "Servers from an image with another major do not start.",
    "Pull the image, or see that its PATH leads to jupyterhub-singleuser; or take it out of the config.",
)
SERVER_IMAGES_OPEN = Kind(
    "server-images-open",
    WARNING,
    'Users may name any image (allowed_images: "*"), or code of the config chooses one.',
    "Nothing is proven for images that the config does not name: a server from one with another major does "
    "not start.",
    "List the images in allowed_images, or tell users which ones have the target.",
)
STALE_CONTAINERS = Kind(
    "stale-containers",
    WARNING,
    "Users' containers are kept when their servers stop, and start again with the image that they have.",
    "A new image does not reach them, and they have the token of their first start.",
    "jupyterhub_stale_containers: remove removes those, once the new hub is accepted, that do not run and "
    "have no files of their users; the next start makes a new one.",
)
KINDS = (
    SERVER_IMAGE_MISSING,
    SERVER_IMAGE_VERSION,
    SERVER_IMAGE_RELEASE,
    SERVER_IMAGE_UNKNOWN,
    SERVER_IMAGES_OPEN,
    STALE_CONTAINERS,
)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """Whether users' servers can start from their images once the hub is upgraded."""
    images = upgrade.deployment.spawner.images
    if images is None or not upgrade.changes:
        return
    yield from of_images(upgrade.host.server_images, upgrade.target.version)
    if images.any_image:
        yield SERVER_IMAGES_OPEN.found("Users may name any image: c.DockerSpawner.allowed_images is '*'.")
    elif images.computed:
        yield SERVER_IMAGES_OPEN.found("Code of the config chooses images.")
    if upgrade.host.stale_containers:
        yield _stale(upgrade.host.stale_containers, upgrade.policy.stale_containers == REMOVE)


def of_images(images: Iterable[ServerImage], version: str) -> Iterator[Finding]:
    """What is wrong with images for a hub of this version."""
    unknown = []
    for each in images:
        if not each.id and each.default:
            yield SERVER_IMAGE_MISSING.found(f"{each.name}: {each.problem}.")
        elif not each.jupyterhub:
            unknown.append(f"{each.name} ({each.problem})")
        else:
            judged = compare(parse_release(version), parse_release(each.jupyterhub))
            kind = {FAIL: SERVER_IMAGE_VERSION, WARN: SERVER_IMAGE_RELEASE}.get(judged.verdict)
            if kind:
                yield kind.found(f"The image {each.name}, {short(each.id)}: {judged.reason}")
    if unknown:
        yield SERVER_IMAGE_UNKNOWN.found(f"Not known: {listing(unknown)}.")


def _stale(containers: list[StaleContainer], removes: bool) -> Finding:
    named = listing([f"{each.name} ({each.why}, image {short(each.image)})" for each in containers])
    found = f"{len(containers)} of users' containers would start again with an old image: {named}."
    kept = [each.name for each in containers if each.running or each.files]
    if not removes:
        return STALE_CONTAINERS.found(found)
    fix = "Nothing: they are removed once the new hub is accepted; what no volume has is lost with them."
    if kept:
        fix = (
            f"{fix} But these stay, for they run or have files of their users: {listing(kept)}. Have their "
            "users save those, and remove them: docker rm."
        )
    return STALE_CONTAINERS.found(found, fix)
