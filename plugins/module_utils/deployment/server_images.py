"""The images of single-user servers, read without starting one, and the containers made from them."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..errors import HubError
from ..releases.versions import FAIL, compare, parse_release
from ..system import containers, docker_engine, images
from ..system.container_helpers import output_of
from ..system.containers import Container, is_within
from .model import ServerImages

READ_SECONDS = 120
ALWAYS, NEVER, SKIP = "always", "never", "skip"
#: What becomes of containers that would start again with an old image.
KEEP, REMOVE = STALE_CONTAINERS = "keep", "remove"
#: Prints the version of JupyterHub that a command of servers would import, $1.
_READ = """
script=$(command -v "$1" || command -v jupyterhub) || { echo "it has no $1"; exit 1; }
read -r line < "$script"
case $line in
  */env\\ *) python=${line##*/env } ;;
  '#!'*) python=${line#'#!'} ;;
esac
$python -B -c "$2" 2> /dev/null || exec python3 -B -c "$2"
"""
_PRINT = "from importlib.metadata import version; print(version('jupyterhub'))"
SINGLE_USER = "jupyterhub-singleuser"
#: Where people's files are, besides the folder that the container's program starts in.
_HOMES = ("/home", "/root")


@dataclass(frozen=True)
class ServerImage:
    """An image of single-user servers."""

    name: str
    id: str = ""
    """'' where this host does not have it."""
    jupyterhub: str = ""
    """The version of JupyterHub in it."""
    problem: str = ""
    """Why that is not known."""
    default: bool = False
    """Whether servers start from it unless a user chooses another one."""


@dataclass(frozen=True)
class StaleContainer:
    """A container of a user's server that starts again with another image than a new one would have."""

    name: str
    image: str
    """The id of its image."""
    why: str
    running: bool
    files: list[str] = field(default_factory=list)
    """Files of its user that no volume has: they would be lost with it."""


def as_of(found: ServerImages, version: str) -> ServerImages:
    """The images with a hub of another version, whose default may have that as its tag."""
    if not found.tag_follows_hub:
        return found
    repository = found.image.rpartition(":")[0]
    major, minor = [*parse_release(version).numbers, 0][:2]
    return replace(found, image=f"{repository}:{major}.{minor}")


def read(found: ServerImages, version: str, command: Iterable[str]) -> list[ServerImage]:
    """The images that servers may start from with a hub of this version, the default first.

    That one is pulled where the spawner would pull it at a server's first start. ``command`` is that of the
    servers. What cannot be read has a problem.
    """
    wanted = as_of(found, version)
    program = next((word for word in command if os.path.basename(word) == SINGLE_USER), SINGLE_USER)
    if not docker_engine.is_here():
        problem = "the Docker engine of this host may not be asked, or does not answer"
        return [
            ServerImage(name, problem=problem, default=name == wanted.image)
            for name in (wanted.image, *wanted.choices)
        ]

    def one(name: str) -> ServerImage:
        is_default = name == wanted.image
        try:
            if is_default and wanted.pull_policy == ALWAYS:
                images.pull(name)
            elif is_default and wanted.pull_policy not in (NEVER, SKIP):
                images.need_image(name)
            return replace(_read(name, program), default=is_default)
        except HubError as error:
            return ServerImage(name, problem=error.message.rstrip("."), default=is_default)

    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(one, [wanted.image, *wanted.choices]))


def _read(name: str, program: str) -> ServerImage:
    """What is known of an image. Raises HubError where its JupyterHub cannot be read."""
    identity = images.image_id(name)
    if not identity:
        return ServerImage(name, problem="it is not on this host")
    try:
        text = output_of(identity, ["/bin/sh", "-c", _READ, "sh", program, _PRINT], READ_SECONDS)
        version = parse_release((text.split() or [""])[-1]).text
    except HubError as error:
        return ServerImage(name, identity, problem=error.message.rstrip("."))
    return ServerImage(name, identity, version)


def stale(
    found: ServerImages, offered: Iterable[ServerImage], version: str, command: Iterable[str]
) -> list[StaleContainer]:
    """The containers of servers that start again with an image that is not offered any more, or is too old.

    In the order of their names. Raises HubError where the engine does not answer.
    """
    if found.removes or not docker_engine.is_here():
        return []
    program = next((word for word in command if os.path.basename(word) == SINGLE_USER), SINGLE_USER)
    by_id = {each.id: each for each in offered if each.id}
    result = []
    for each in sorted(containers.containers(found.name_begins), key=lambda each: each.name):
        if "JUPYTERHUB_USER" not in each.environment:
            continue
        known = by_id.get(each.image)
        is_offered = known is not None
        if known is None:
            known = by_id[each.image] = _read(each.image, program)
            # Nobody can say that a user may not choose it again, but its name may be another image's now.
            chosen = found.any_image or found.computed
            is_offered = chosen and images.image_id(each.image_name) == each.image
        why = _why(each, known, version, is_offered)
        if why:
            result.append(
                StaleContainer(each.name, each.image, why, each.status == "running", own_files(each))
            )
    return result


def _why(found: Container, image: ServerImage, version: str, is_offered: bool) -> str:
    """Why a container is stale, '' where it is not."""
    if image.jupyterhub:
        judged = compare(parse_release(version), parse_release(image.jupyterhub))
        if judged.verdict == FAIL:
            return f"JupyterHub {image.jupyterhub}"
    return "" if is_offered else f"an earlier image than a new one's, {images.short(found.image)}"


def own_files(found: Container) -> list[str]:
    """Files and folders in a container's own layer that are its user's, as far as their place tells.

    What programs keep in hidden ones, and where volumes are mounted, is not.
    """
    homes = {*_HOMES, found.directory, found.environment.get("HOME", "/")} - {"/"}
    mounted = [each.destination for each in found.mounts]
    files = []
    for path in containers.changed_files(found.name):
        home = max((each for each in homes if is_within(path, each)), key=len, default=None)
        is_hidden = home is None or "/." in path[len(home.rstrip("/")) :]
        is_around = any(is_within(each, path) for each in (*homes, *mounted))
        if not is_hidden and not is_around:
            files.append(path)
    return files


@dataclass(frozen=True)
class Removed:
    """What became of containers that would have started with an old image."""

    removed: list[str]
    kept: list[str]
    """A sentence each, that says why."""


def remove_stale(found: ServerImages, version: str, command: Iterable[str]) -> Removed:
    """Remove stale containers that do not run and have no files of their users; their volumes stay.

    Raises HubError where the engine does not answer.
    """
    words = list(command)
    removed, kept = [], []
    for each in stale(found, read(found, version, words), version, words):
        if each.running:
            kept.append(f"{each.name} was kept: its server runs.")
        elif each.files:
            kept.append(f"{each.name} was kept: its user's files are in it alone, as {each.files[0]}.")
        else:
            try:
                containers.remove_stopped(each.name)
                removed.append(each.name)
            except docker_engine.EngineError as error:
                kept.append(f"{each.name} was kept: {error.message}")
    return Removed(removed, kept)
