"""Helpers: containers in which only `sleep` runs, for programs that run as in another container."""

from __future__ import annotations

import atexit
import contextlib
import json
import threading
from typing import Any, Sequence

from ..errors import HubError
from . import docker_engine as engine
from . import namespaces
from .containers import Container, container, is_within, parsed, remove
from .image_places import ImagePlace
from .process_records import alive, identity

#: On containers of ours: the process that has made them, as its number and its birth.
MAKER_LABEL = "hubops.made-by"
#: How long a container sleeps whose maker was killed.
SLEEP_SECONDS = 3600
#: What a mount at its path on the host must not hide in a container.
_OF_IMAGES = ("/bin", "/etc", "/lib", "/opt", "/proc", "/sys", "/usr", "/dev", "/home", "/root")

_helpers: dict[tuple[str, str, int | None], str] = {}
_making = threading.Lock()


def helper(settings: Container, place: ImagePlace | None) -> int:
    """The main process of a container that sleeps, with the settings of another one; see `_helper`."""
    with _making:
        return _helper(settings, place)


def _helper(settings: Container, place: ImagePlace | None) -> int:
    """The main process of a container that sleeps, with the settings of another one.

    It is of the image that has the environment, or of that one's. While that one runs it has its network,
    which goes with it; else the same networks. It goes when this process ends.
    """
    image = place.image if place else settings.image
    key = settings.id, image, settings.pid
    if key in _helpers:
        with contextlib.suppress(HubError):
            pid = container(_helpers[key]).pid
            if pid:
                return pid
    remove_abandoned()
    made = engine.send(
        "/containers/create",
        {
            "Image": image,
            "Entrypoint": ["sleep"],
            "Cmd": [str(SLEEP_SECONDS)],
            "User": "0",
            "WorkingDir": "/",
            "Labels": {MAKER_LABEL: identity()},
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                **(_of_running(settings) if settings.pid else settings.settings),
                "Binds": binds(settings, place.prefix if place else "/opt"),
                # Programs are started by this process, and /proc has to know them.
                "PidMode": "host",
                "AutoRemove": True,
            },
        },
    )["Id"]
    if not _helpers:
        atexit.register(remove_helpers)
    _helpers[key] = made
    if not settings.pid:
        for network in settings.networks:
            engine.send(f"/networks/{network}/connect", {"Container": made})
    engine.send(f"/containers/{made}/start")
    pid = container(made).pid
    if pid is None:
        raise HubError(f"A container of {image} ended at once.", "It has to have `sleep`.")
    return pid


def output_of(image: str, argv: Sequence[str], seconds: float) -> str:
    """What a program prints that runs in an image, without network, mounts and privileges.

    Raises HubError where it fails, or takes longer than ``seconds``.
    """
    made = engine.send(
        "/containers/create",
        {
            "Image": image,
            "Entrypoint": list(argv[:1]),
            "Cmd": list(argv[1:]),
            "Labels": {MAKER_LABEL: identity()},
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": "none",
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
            },
        },
    )["Id"]
    try:
        engine.send(f"/containers/{made}/start")
        ended = json.loads(engine.ask("POST", f"/containers/{made}/wait", timeout=seconds))
        text = engine.text_of(engine.ask("GET", f"/containers/{made}/logs", stdout="true", stderr="true"))
    finally:
        remove(made)
    if ended["StatusCode"]:
        last = (text.strip().splitlines() or [f"it ended with {ended['StatusCode']}"])[-1]
        raise HubError(
            f"A program failed in the image {image}: {last}.",
            "The image must run its own Python without network: try it with `docker run`.",
        )
    return text


def _of_running(settings: Container) -> dict[str, Any]:
    """The settings for a container in the network of a running one, which has what is said of networks."""
    of_network = ("NetworkMode", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "Links")
    kept = {name: value for name, value in settings.settings.items() if name not in of_network}
    return {**kept, "NetworkMode": f"container:{settings.id}"}


def binds(settings: Container, prefix: str) -> list[str]:
    """Its mounts, and each once more at its path on the host, by which this collection names files.

    Not where that would hide something of the image, such as the environment at ``prefix``.
    """
    taken = [each.destination for each in settings.mounts]
    found = []
    for mount in settings.mounts:
        mode = "rw" if mount.writable else "ro"
        found.append(f"{mount.name or mount.source}:{mount.destination}:{mode}")
        hidden = [path for path in (*taken, *_OF_IMAGES, prefix) if is_within(path, mount.source)]
        if not hidden:
            found.append(f"{mount.source}:{mount.source}:{mode}")
    return found


def remove_helpers() -> None:
    """Remove the sleeping containers of this process, unless what it has started in them still runs."""
    with contextlib.suppress(HubError):
        for made in _helpers.values():
            _remove_unused(made)
    _helpers.clear()


def remove_unused() -> None:
    """Remove the sleeping containers in which nothing runs any more, so that their images can go."""
    remove_helpers()
    remove_abandoned()


def remove_abandoned() -> None:
    """Remove the sleeping containers of processes that have ended, unless they are in use."""
    labelled = json.dumps({"label": [MAKER_LABEL]})
    for listed in engine.read("/containers/json", all="true", filters=labelled):
        if alive(listed["Labels"][MAKER_LABEL]) is None:
            _remove_unused(listed["Id"])


def _remove_unused(name: str) -> None:
    """Remove a container, unless a program that was started in it runs: it would lose its files."""
    with contextlib.suppress(engine.NotThere):
        pid = parsed(engine.read(f"/containers/{name}/json")).pid
        if pid is None or not namespaces.is_shared(pid):
            remove(name)
