"""Images of the Docker engine, by their names and ids."""

from __future__ import annotations

import contextlib
import json

from ..errors import HubError
from . import docker_engine as engine

PULL_SECONDS = 1800


def image_id(image: str) -> str:
    """The id of an image; '' where this host does not have it."""
    try:
        return image and str(engine.read(f"/images/{image}/json")["Id"])
    except engine.NotThere:
        return ""


def short(image: str) -> str:
    """The beginning of an image's id, as `docker` shows it."""
    return image.rpartition(":")[2][:12]


def need_image(image: str) -> None:
    """Pull an image that is not on the host. Raises HubError where that is not possible."""
    if not image_id(image):
        pull(image)


def pull(image: str) -> None:
    """Pull an image. Raises HubError where the host does not have it afterwards."""
    reason = ""
    try:
        name = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
        said = engine.ask("POST", "/images/create", timeout=PULL_SECONDS, fromImage=name)
        reason = next((json.loads(line)["error"] for line in said.splitlines() if b'"error"' in line), "")
    except engine.EngineError as error:
        reason = error.message
    if not image_id(image):
        raise HubError(
            f"The image {image} is not on this host, and cannot be pulled: {reason.rstrip('.')}.",
            f"Pull it there, where it needs a password: docker pull {image}.",
        )


def tags(repository: str) -> dict[str, str]:
    """The names in a repository of images, and the ids of what they are."""
    listed = engine.read("/images/json", filters=json.dumps({"reference": [repository]}))
    return {name: each["Id"] for each in listed for name in each["RepoTags"] or []}


def untag(name: str) -> None:
    """Take a name from an image, which goes with its last one."""
    with contextlib.suppress(engine.EngineError):  # It has gone, or a container has it.
        engine.ask("DELETE", f"/images/{name}")


def tag(image: str, repository: str, name: str) -> None:
    """Give an image one more name."""
    engine.send(f"/images/{image}/tag", repo=repository, tag=name)
