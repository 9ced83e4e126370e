"""NetworkContext: how programs of this host run in the network of a hub's container."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Mapping, Sequence

from ..errors import HubError
from . import container_helpers, namespaces
from .containers import in_place, neighbour
from .execution_context import ContainerUser, ExecutionContext

#: Where this host's programs are, whatever the container's own search path is.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: The home of a user whose own is on no mount.
NO_HOME = "/nonexistent"
#: What in a container says where names of hosts lead.
_NAMES = ("/etc/hosts", "/etc/resolv.conf")
_SWITCH = Path("/etc/nsswitch.conf")


@dataclass(frozen=True)
class NetworkContext(ExecutionContext):
    """The host's programs and files, with the network of a container and what it knows of names in it.

    While the hub runs it is its own, so that a server sees one client; else that of a container which sleeps.
    """

    container: str = ""
    #: The container whose files the programs have in place of the host's.
    files_of: str = ""

    def neighbour(self, host: str) -> NetworkContext | None:
        """The same for programs of the container that is reached as ``host``; None where there is none."""
        found = neighbour(self.container, host)
        if found is None:
            return None
        own = {name: value for name, value in self.environment.items() if name not in ("PATH", "HOME")}
        path = {name: value for name, value in found.environment.items() if name == "PATH"}
        return replace(self, environment={**own, **path, "HOME": "/"}, files_of=found.name)

    def on_host(self, path: str) -> str:
        """The host's path of a file in the container. Raises HubError where it is on no mount."""
        found = in_place(self.container).on_host(path)
        if not os.path.isabs(found):
            raise HubError(
                f"{path} is on no mount of the container {self.container}, so the database's clients on this "
                "host cannot read it.",
                "Mount a folder of the host or a volume there, with a copy of the file.",
            )
        return found

    def _entering(self, argv: Sequence[str]) -> Callable[[], None]:
        found = in_place(self.container)
        try:
            pid = found.pid or container_helpers.helper(found, None)
            if self.files_of:
                enter = namespaces.entering(_running(self.files_of), network_of=pid)
            else:
                enter = namespaces.entering_network(pid, _files(pid))
        except OSError as error:
            raise HubError(
                f"The network of the container {self.container} cannot be entered: {error}.",
                "Work as root on the host of the engine.",
            ) from error

        def arrive() -> None:
            enter()
            os.chdir(self.directory)

        return arrive


def network_context(user: ContainerUser, variables: Mapping[str, str]) -> NetworkContext:
    """How programs of this host run in a container's network, with its ``variables``.

    Raises HubError where there is no such container.
    """
    found = in_place(user.container)
    environment = {
        name: found.on_host(value) if os.path.isabs(value) else value for name, value in variables.items()
    }
    home = found.on_host(user.home)
    environment.update(PATH=SEARCH_PATH, HOME=home if os.path.isabs(home) else NO_HOME)
    return NetworkContext(
        user=user.name,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        home=environment["HOME"],
        directory="/",
        environment=environment,
        container=user.container,
    )


def _running(name: str) -> int:
    """The main process of a container. Raises HubError where it does not run."""
    pid = in_place(name).pid
    if pid is None:
        raise HubError(f"The container {name} does not run.", f"Start it: docker start {name}.")
    return pid


def _files(pid: int) -> dict[str, bytes]:
    """The files that programs read to find hosts, as the main process of a container has them.

    They are the only ones that count: a service of this host that is asked instead knows its network alone.
    """
    root = Path("/proc", str(pid), "root")
    found = {path: (root / path[1:]).read_bytes() for path in _NAMES}
    lines = _SWITCH.read_text(errors="replace").splitlines() if _SWITCH.exists() else []
    kept = [line for line in lines if not line.lstrip().startswith("hosts:")]
    return {**found, str(_SWITCH): "\n".join([*kept, "hosts: files dns", ""]).encode()}
