"""The view of an image's environment: a folder of the host that has all that is read of it.

    <view>/.hubops-image.json                       the image, and where in it the environment is
    <view>/bin/python                               runs the image's Python, in a container of its own
    <view>/lib/python3.<n>/site-packages/           the packages' metadata, and jupyterhub's modules

So whatever reads an environment reads this one. What runs in it runs in a container: see `ContainerContext`.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError
from ..hub_scripts import image_reader
from ..shapes import from_dict, to_dict
from ..system import containers, files, images
from ..system.container_context import ContainerContext
from ..system.image_places import PLACE, ImagePlace
from ..system.source import source_of
from ..system.state import make_private

READ_SECONDS = 120
_PARTIAL = ".partial"


@dataclass(frozen=True)
class _Read:
    """The output of image_reader.py."""

    prefix: str
    python: str
    python_version: str
    files: dict[str, str]


def make(view: Path, context: ContainerContext, name: str) -> ImagePlace:
    """Make the view of the environment that has ``jupyterhub`` in the image of a context's container.

    ``name`` is the hub's container's. The view is whole or not there; one that is there is replaced, unless
    it is of this image. Raises HubError when the image has no jupyterhub, or its Python does not run.
    """
    container = context.container
    known = ImagePlace.of(view)
    if known and known.image == container.image:
        return known
    read = _read(context)
    place = ImagePlace(
        name, container.image, container.image_name, read.prefix, read.python, read.python_version
    )
    partial = view.with_name(view.name + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    make_private(partial)
    minor = ".".join(read.python_version.split(".")[:2])
    packages = partial / "lib" / f"python{minor}" / "site-packages"
    packages.mkdir(parents=True)
    for path, text in read.files.items():
        target = packages / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    script = partial / "bin" / "python"
    script.parent.mkdir()
    files.write(script, _script(place).encode(), mode=0o755)
    files.write(partial / PLACE, json.dumps(to_dict(place), indent=1).encode(), mode=0o644)
    shutil.rmtree(view, ignore_errors=True)
    files.rename(partial, view)
    return place


def make_of_image(view: Path, name: str, image: str) -> ImagePlace:
    """Make the view of an image from which the hub's container called ``name`` is to be made anew.

    Raises HubError as `make`, and when there is no such image and it cannot be pulled either.
    """
    images.need_image(image)
    container = containers.of_image(name, image)
    context = ContainerContext(
        user="root",
        uid=0,
        gid=0,
        groups=(),
        home="/",
        directory="/",
        environment=container.environment,
        container=container,
    )
    return make(view, context, name)


def _read(context: ContainerContext) -> _Read:
    image = context.container.image_name
    python = _python(context)
    done = context.run([python, "-B", "-c", source_of(image_reader)], timeout=READ_SECONDS)
    try:
        return from_dict(_Read, json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise HubError(
            f"The Python of the image {image}, {python}, could not be asked: {last}.",
            "Name an image whose Python runs on this host in jupyterhub_image.",
        ) from None


def _python(context: ContainerContext) -> str:
    """The interpreter that the image's jupyterhub runs in. Raises HubError where there is none."""
    head = context.run(
        ["/bin/sh", "-c", 'head -n 1 -- "$(command -v jupyterhub)"'], timeout=READ_SECONDS
    ).stdout
    words = head[2:].split() if head.startswith("#!") else []
    if words and words[0].endswith("/env"):
        words = words[1:]
    if not words:
        raise HubError(
            f"The image {context.container.image_name} has no script jupyterhub on its PATH, {context.path}.",
            "Name an image of a hub, whose PATH leads to its jupyterhub.",
        )
    return words[0]


def _script(place: ImagePlace) -> str:
    argv = ["docker", "run", "--rm", "--interactive", f"--entrypoint={place.python}", place.image]
    return f'#!/bin/sh\n# Python of the image {place.image_name}.\nexec {shlex.join(argv)} "$@"\n'
