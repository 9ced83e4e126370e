"""Containers of the Docker engine, as their settings say."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import HubError
from . import container_settings, namespaces
from . import docker_engine as engine
from .images import short

#: The names of containers in URLs end so; `hub.api` reaches them.
DOMAIN = ".container"
LOOPBACK = "127.0.0.1"
#: Between a container's name and an image in the names of those that are not in its place.
ASIDE = ".hubops-"
_DELETED = 2
#: What else of a container's settings decides what a program in it may do, see and reach.
_SETTINGS = (
    *("NetworkMode", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "Links"),
    *("CapAdd", "CapDrop", "Privileged", "SecurityOpt", "Tmpfs", "ShmSize", "UsernsMode"),
)


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, or a volume, within a container."""

    source: str
    """Its path on the host."""
    destination: str
    name: str = ""
    """The volume's, '' for a folder of the host."""
    writable: bool = True


@dataclass(frozen=True)
class Container:
    """What `docker inspect` says of a container."""

    id: str
    name: str
    image: str
    """The id of its image, ``sha256:...``."""
    image_name: str
    """As it was given to its maker."""
    status: str
    """``created``, ``running``, ``paused``, ``restarting``, ``removing``, ``exited`` or ``dead``."""
    pid: int | None
    """Of its main process, as the host numbers it."""
    exit_code: int
    argv: list[str]
    """Entrypoint and command."""
    environment: dict[str, str] = field(repr=False)
    directory: str
    mounts: list[Mount]
    labels: dict[str, str]
    restart_policy: dict[str, Any]
    addresses: list[str]
    """Its own in its networks, while it runs; none where it has the host's."""
    settings: dict[str, Any] = field(repr=False)
    """Those of `HostConfig` that its helpers share."""
    goes_when_stopped: bool = False
    """Whether the engine removes it then (`docker run --rm`)."""
    networks: list[str] = field(default_factory=list)
    """Those that it is in besides the one of its settings, running or not."""

    @property
    def stopped(self) -> Container:
        """What it is going to be when it has stopped."""
        return replace(self, pid=None)

    def on_host(self, path: str) -> str:
        """The host's path of a path in it; without a mount there ``<name>:<path>``, as for `docker cp`."""
        around = [each for each in self.mounts if is_within(path, each.destination)]
        if not around:
            return f"{self.name}:{path}"
        mount = max(around, key=lambda each: len(each.destination))
        return mount.source + path[len(mount.destination.rstrip("/")) :]

    def inside(self, path: str) -> str:
        """The inverse of `on_host`; what no mount has on the host is the same path in it."""
        own = f"{self.name}:/"
        if path.startswith(own):
            return path[len(own) - 1 :]
        around = [each for each in self.mounts if is_within(path, each.source)]
        if not around:
            return path
        mount = max(around, key=lambda each: len(each.source))
        return mount.destination.rstrip("/") + path[len(mount.source) :]


def is_within(path: str, folder: str) -> bool:
    """Whether an absolute path is that of a folder, or within it."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def container(name: str) -> Container:
    """The container of that name. Raises HubError when there is none, or the engine does not answer."""
    try:
        return parsed(engine.read(f"/containers/{name}/json"))
    except engine.NotThere:
        raise HubError(
            f"There is no container {name} on this host.", "`docker ps --all` shows those that there are."
        ) from None


def in_place(name: str) -> Container:
    """The container of that name; while one takes the place of another, the one that had it.

    Raises HubError as `container`.
    """
    try:
        return container(name)
    except HubError:
        beside = containers(f"{name}{ASIDE}")
        if not beside:
            raise
        return beside[0]


def neighbour(name: str, host: str) -> Container | None:
    """The running container that another one reaches as ``host``; None where it is none of this engine's.

    Raises HubError as `container`.
    """
    shared = engine.read(f"/containers/{in_place(name).id}/json")["NetworkSettings"]["Networks"] or {}
    for listed in engine.read("/containers/json"):
        with contextlib.suppress(engine.NotThere):  # It has been removed meanwhile.
            data = engine.read(f"/containers/{listed['Id']}/json")
            if host in container_settings.names_in(data, shared):
                return parsed(data)
    return None


def of_image(name: str, image: str) -> Container:
    """What a container would be, had it been made from another image. Raises NotThere without that image."""
    data = engine.read(f"/containers/{name}/json")
    settings = container_settings.given(data, engine.read(f"/images/{data['Image']}/json"))
    other = engine.read(f"/images/{image}/json")
    environment = [*(other["Config"].get("Env") or []), *settings["Env"]]
    return replace(
        parsed(data),
        image=other["Id"],
        image_name=image,
        environment=dict(entry.split("=", 1) for entry in environment if "=" in entry),
    )


def changed_files(name: str) -> list[str]:
    """Paths in a container's own layer that it has added or changed since it was made (`docker diff`)."""
    found = engine.read(f"/containers/{name}/changes") or []
    return [str(each["Path"]) for each in found if each["Kind"] != _DELETED]


def aside(name: str, image: str) -> str:
    """The name of the container of an image that is not in the place of the one called ``name``."""
    return f"{name}{ASIDE}{short(image)}"


def make(name: str, image: str, like: str) -> None:
    """Make a container of an image that has what was given to another one when that was made; see `given`.

    It is not started, and starts with nothing.
    """
    data = engine.read(f"/containers/{like}/json")
    old = engine.read(f"/images/{data['Image']}/json")
    networks = container_settings.networks(data)
    host = {**container_settings.host(data), "RestartPolicy": {"Name": "no"}}
    first = host.get("NetworkMode") if host.get("NetworkMode") in networks else next(iter(networks), "")
    body = {**container_settings.given(data, old), "Image": image, "HostConfig": host}
    if first:
        body["NetworkingConfig"] = {"EndpointsConfig": {first: networks.pop(first)}}
    made = engine.send("/containers/create", body, name=name)["Id"]
    try:
        for network, endpoint in networks.items():
            engine.send(f"/networks/{network}/connect", {"Container": made, "EndpointConfig": endpoint})
    except BaseException:
        remove(made)
        raise


def set_restart_policy(name: str, policy: dict[str, Any]) -> None:
    """When the engine starts a container by itself: `RestartPolicy` of `HostConfig`."""
    engine.send(f"/containers/{name}/update", {"RestartPolicy": policy})


def containers(beginning: str = "") -> list[Container]:
    """Those of this host whose names begin so, running or not, the newest first."""
    named = json.dumps({"name": [f"^/{re.escape(beginning)}"]})
    found = []
    for listed in engine.read("/containers/json", all="true", filters=named):
        with contextlib.suppress(engine.NotThere):  # It has been removed meanwhile.
            found.append(parsed(engine.read(f"/containers/{listed['Id']}/json")))
    return found


def connect(name: str, port: int, timeout: float | None) -> socket.socket:
    """A connection to whichever of a container's own addresses answers, made from within its network.

    Raises HubError where it does not run, and OSError where none answers.
    """
    found = container(name)
    if found.pid is None:
        raise HubError(f"The container {name} does not run.", f"Start it: docker start {name}.")
    *others, last = (LOOPBACK, *found.addresses)
    for address in others:
        with contextlib.suppress(OSError):
            return namespaces.connect(found.pid, (address, port), timeout)
    return namespaces.connect(found.pid, (last, port), timeout)


def parsed(data: dict[str, Any]) -> Container:
    """A container from what the engine says of it."""
    config, host, state = data["Config"], data["HostConfig"], data["State"]
    networks = data["NetworkSettings"].get("Networks") or {}
    return Container(
        id=data["Id"],
        name=data["Name"].lstrip("/"),
        image=data["Image"],
        image_name=config["Image"],
        status=state["Status"],
        pid=state.get("Pid") or None,
        exit_code=state.get("ExitCode", 0),
        argv=[*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])],
        environment=dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry),
        directory=config.get("WorkingDir") or "/",
        mounts=[
            Mount(each["Source"], each["Destination"], each.get("Name") or "", each.get("RW", True))
            for each in data.get("Mounts") or []
            if each.get("Source")
        ],
        labels=config.get("Labels") or {},
        restart_policy=host.get("RestartPolicy") or {"Name": "no"},
        addresses=[each["IPAddress"] for each in networks.values() if each.get("IPAddress")],
        settings={name: host[name] for name in _SETTINGS if host.get(name)},
        goes_when_stopped=bool(host.get("AutoRemove")),
        networks=container_settings.further_networks(data),
    )


NO_CONTAINER = Container("", "", "", "", "", None, 0, [], {}, "/", [], {}, {}, [], {})


def remove(name: str) -> None:
    """Remove a container, running or not, with the volumes that it alone has; nothing where there is none."""
    with contextlib.suppress(engine.NotThere):
        engine.ask("DELETE", f"/containers/{name}", force="true", v="true")


def remove_stopped(name: str) -> None:
    """Remove a container and none of its volumes. Raises EngineError where it runs."""
    with contextlib.suppress(engine.NotThere):
        engine.ask("DELETE", f"/containers/{name}")
