"""ContainerContext: how programs run as the hub of a container does."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, ClassVar, Sequence

from ..errors import HubError
from . import container_helpers, namespaces
from .containers import DOMAIN, NO_CONTAINER, Container, of_image
from .execution_context import ContainerUser, ExecutionContext
from .image_places import ImagePlace, place_around
from .processes import Process


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
        folder, place = place_around(path)
        if place is None:
            return self.container.inside(path)
        rest = path[len(str(folder)) :]
        return place.python if rest == "/bin/python" else place.prefix + rest

    @property
    def scratch_place(self) -> str:
        if os.path.isabs(self.directory):
            return self.directory
        sources = [each.source for each in self.container.mounts if each.writable]
        found = next(filter(os.path.isdir, sources), None)
        if found is None:
            raise HubError(
                f"The container {self.container.name} has no mount that it may write: a rehearsal has no "
                "place there.",
                "Mount a folder of the host or a volume in it: its cookie secret should be on one as well.",
            )
        return found

    @property
    def container_user(self) -> ContainerUser:
        home = self.environment.get("HOME") or self.home
        return ContainerUser(self.container.name, self.user, self.uid, self.gid, self.groups, home)

    def outliving(self) -> ContainerContext:
        return replace(self, container=self.container.stopped)

    def address(self, host: str) -> str:
        return f"{self.container.name}{DOMAIN}"

    def _entering(self, argv: Sequence[str]) -> Callable[[], None]:
        _folder, place = place_around(argv[0])
        try:
            enter = namespaces.entering(container_helpers.helper(self.container, place))
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
