"""A container of the Docker engine, as its settings say, and what runs with them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import socket
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, ClassVar, Sequence

from ..errors import HubError
from ..shapes import from_dict
from . import container_settings, namespaces
from . import docker_engine as engine
from .execution_context import ExecutionContext
from .process_records import alive, identity
from .processes import Process

#: On containers of ours: the process that has made them, as its number and its birth.
MAKER_LABEL = "hubops.made-by"
#: In a folder that stands for an environment in an image: what it stands for.
PLACE = ".hubops-image.json"
#: The names of containers in URLs end so; `hub.api` reaches them.
DOMAIN = ".container"
LOOPBACK = "127.0.0.1"
#: How long a container sleeps whose maker was killed.
SLEEP_SECONDS = 3600
PULL_SECONDS = 1800
#: Between a container's name and an image in the names of those that are not in its place.
ASIDE = ".hubops-"
_DELETED = 2
#: What a mount at its path on the host must not hide in a container.
_OF_IMAGES = ("/bin", "/etc", "/lib", "/opt", "/proc", "/sys", "/usr", "/dev", "/home", "/root")
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
    if image_id(image):
        return
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


def changed_files(name: str) -> list[str]:
    """Paths in a container's own layer that it has added or changed since it was made (`docker diff`)."""
    found = engine.read(f"/containers/{name}/changes") or []
    return [str(each["Path"]) for each in found if each["Kind"] != _DELETED]


def tags(repository: str) -> dict[str, str]:
    """The names in a repository of images, and the ids of what they are."""
    listed = engine.read("/images/json", filters=json.dumps({"reference": [repository]}))
    return {name: each["Id"] for each in listed for name in each["RepoTags"] or []}


def untag(name: str) -> None:
    """Take a name from an image, which goes with its last one."""
    with contextlib.suppress(engine.EngineError):  # It has gone, or a container has it.
        engine.ask("DELETE", f"/images/{name}")


def aside(name: str, image: str) -> str:
    """The name of the container of an image that is not in the place of the one called ``name``."""
    return f"{name}{ASIDE}{short(image)}"


def tag(image: str, repository: str, name: str) -> None:
    """Give an image one more name."""
    engine.send(f"/images/{image}/tag", repo=repository, tag=name)


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
    )


NO_CONTAINER = Container("", "", "", "", "", None, 0, [], {}, "/", [], {}, {}, [], {})


@dataclass(frozen=True)
class ImagePlace:
    """An environment in an image of a hub's container."""

    container: str
    """The container's name."""
    image: str
    """The image's id."""
    image_name: str
    """As it was named."""
    prefix: str
    """The environment's path in the image."""
    python: str
    """Its interpreter's."""
    python_version: str

    @classmethod
    def of(cls, folder: Path) -> ImagePlace | None:
        """What a folder of the host stands for; None where it is what it is."""
        try:
            return from_dict(cls, json.loads((folder / PLACE).read_bytes()))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None


@dataclass(frozen=True)
class ContainerContext(ExecutionContext):
    """The context of a container: programs run in another one, of the same settings, which only sleeps.

    That is of the image that the program is in, which is named by the folder on the host that stands for its
    environment. ``directory`` is as `Container.on_host` has it.
    """

    container: Container = field(default=NO_CONTAINER, repr=False)
    sees_host: ClassVar[bool] = False

    def relocated(self, places: dict[str, str]) -> ContainerContext:
        """The same in the image that one of the places leads to."""
        found = (ImagePlace.of(Path(folder)) for folder in places.values())
        place = next((each for each in found if each), None)
        if place is None:
            return self
        container = of_image(self.container.name, place.image)
        return replace(self, container=container, environment={**self.environment, **container.environment})

    def of_process(self, process: Process) -> ContainerContext:
        uid, gid, groups = process.accounts()
        return replace(
            self,
            uid=uid,
            gid=gid,
            groups=groups,
            directory=self.on_host(process.directory()),
            environment=process.environment(),
        )

    def program(self, name: str) -> Path | None:
        found = self.run(["/bin/sh", "-c", 'command -v -- "$1"', "sh", name]).stdout.strip()
        return Path(self.on_host(found)) if found.startswith("/") else None

    def on_host(self, path: str) -> str:
        return self.container.on_host(path)

    def kept(self, path: str) -> str:
        found = self.on_host(path)
        if not os.path.isabs(found):
            raise HubError(
                f"{path} is on no mount: it is lost with the container {self.container.name}.",
                "Mount a folder of the host or a volume there, with a copy of the file.",
            )
        return found

    def inside(self, path: str) -> str:
        folder, place = _place_around(path)
        if place is None:
            return self.container.inside(path)
        rest = path[len(str(folder)) :]
        return place.python if rest == "/bin/python" else place.prefix + rest

    def address(self, host: str) -> str:
        return f"{self.container.name}{DOMAIN}"

    def _entering(self, argv: Sequence[str]) -> Callable[[], None]:
        _folder, place = _place_around(argv[0])
        try:
            with _making:
                helper = _helper(self.container, place)
            enter = namespaces.entering(helper)
        except OSError as error:
            raise HubError(
                f"The container of {self.container.name} cannot be entered: {error}.",
                "Work as root on the host of the engine.",
            ) from error

        directory = self.inside(self.directory)

        def arrive() -> None:
            enter()
            os.chdir(directory)

        return arrive


def _place_around(path: str) -> tuple[Path, ImagePlace | None]:
    """The folder around a path that stands for an environment in an image."""
    for folder in Path(path).parents if os.path.isabs(path) else ():
        place = ImagePlace.of(folder)
        if place:
            return folder, place
    return Path(path), None


_helpers: dict[tuple[str, str], str] = {}
_making = threading.Lock()


def _helper(settings: Container, place: ImagePlace | None) -> int:
    """The main process of a container that sleeps, with the settings of another one.

    It is of the image that has the environment, or of that one's. It goes when this process ends.
    """
    image = place.image if place else settings.image
    key = settings.id, image
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
    engine.send(f"/containers/{made}/start")
    pid = container(made).pid
    if pid is None:
        raise HubError(f"A container of {image} ended at once.", "It has to have `sleep`.")
    return pid


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


def remove(name: str) -> None:
    """Remove a container, running or not, with the volumes that it alone has; nothing where there is none."""
    with contextlib.suppress(engine.NotThere):
        engine.ask("DELETE", f"/containers/{name}", force="true", v="true")
