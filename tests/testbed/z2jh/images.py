"""The images of a version of the chart, all of one environment with hub, server and proxy; a database's."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

from ..images import REPOSITORY, build, debian, image, one_builder
from .versions import COMMON, Version

FOLDER = Path(__file__).parent / "images"
#: The servers of databases: folder, name and version of the image.
SERVERS = {"postgresql": ("postgres", "15"), "mariadb": ("mariadb", "10.11")}


class Images(NamedTuple):
    """The images of the hub, of people's servers and of the proxy."""

    hub: str
    person: str
    proxy: str


def images_of(version: Version) -> Images:
    """The names of the images of a version, which may not be built yet."""
    digest = hashlib.sha256(repr((COMMON, version.packages)).encode())
    for file in sorted(FOLDER.iterdir()):
        digest.update(file.read_bytes())
    tag = f"{version.chart}-{digest.hexdigest()[:8]}"
    names = ("k8s-hub", "k8s-singleuser-sample", "configurable-http-proxy")
    return Images(*(f"{REPOSITORY}/{name}:{tag}" for name in names))


def build_images(version: Version) -> Images:
    """The images of a version, built if they are not there."""
    images = images_of(version)
    with one_builder(images.hub) as is_missing:
        if is_missing:
            arguments = {
                "BUILDER": image("base"),
                "BASE": debian(),
                "PACKAGES": " ".join((*COMMON, *version.packages)),
            }
            build(images.hub, FOLDER, "Dockerfile", arguments)
    with one_builder(images.person) as is_missing:
        if is_missing:
            build(images.person, FOLDER, "Dockerfile.person", {"HUB": images.hub})
    subprocess.run(["docker", "tag", images.hub, images.proxy], check=True)
    return images


def build_server_image(kind: str) -> str:
    """The image of a database's server for hubs, one of `SERVERS`, built if it is not there."""
    folder, (name, version) = Path(__file__).parent / kind, SERVERS[kind]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(folder.iterdir())))
    tag = f"{REPOSITORY}/{name}:{version}-{digest.hexdigest()[:8]}"
    with one_builder(tag) as is_missing:
        if is_missing:
            build(tag, folder, "Dockerfile", {"BASE": debian()})
    return tag
