"""Environment: what an upgrade can do with a Python environment, and how its old state is restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Callable, Iterable, Mapping

from ..progress import Progress
from .facts import EnvironmentFacts, Obstacle
from .identical import Member
from .installer import Installer, InstallerOptions, silent
from .kept import KeptEnvironment
from .planned import Planned, PlannedEnvironment
from .staged import Staged

#: The records of one environment in the recovery points of a deployment, by their ids, the oldest first.
Recorded = Mapping[str, KeptEnvironment]


class Environment(ABC):
    """One environment, the hub's or one of single-user servers.

    ``name`` tells it from others on the host: the path of a folder. Which state it is in is read from the
    host each time, so everything may be interrupted and called again.
    """

    kind: str
    #: Whether an upgrade can change environments of this kind.
    can_be_upgraded: bool
    #: Whether an upgrade can change them where they are; others are exchanged.
    can_be_upgraded_in_place: bool
    #: Whether their own tool chooses their Python; into others one of the host's can be put.
    has_own_python: bool
    #: Whether the new one has a Python of its own, whichever the old one has.
    comes_with_python: bool
    #: Whether the new one may be a copy of another's, where both hold the same.
    can_be_a_copy = False
    #: What installs packages into them.
    installer: type[Installer]

    def __init__(self, name: str) -> None:
        self.name = name

    def make_installer(
        self,
        options: InstallerOptions,
        environment: str,
        progress: Callable[[str], None] = silent,
        may_build: bool = True,
    ) -> Installer:
        """What installs packages into it and its copies. Raises HubError where there is none."""
        return self.installer(options, environment, progress, may_build)

    @abstractmethod
    def facts(self) -> EnvironmentFacts:
        """What is known of it. Raises HubError when there is none, or it may not be read."""

    @abstractmethod
    def packages(self) -> dict[str, str]:
        """Versions of all its packages, by normalised name; none while an exchange is interrupted."""

    @abstractmethod
    def package_list(self) -> list[str]:
        """The lines that describe all its packages to whoever has to build it again."""

    @abstractmethod
    def obstacles(self, requirements: Iterable[str]) -> list[Obstacle]:
        """What keeps requirements from being installed into a copy of it, whatever versions there are."""

    # Staged and switched, as an entry of a plan says

    @abstractmethod
    def is_staged(self, entry: Planned, installer: Installer) -> bool:
        """Whether exactly what the entry asks for is staged already."""

    @abstractmethod
    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        """Make the new environment, complete and proven, or leave nothing; the old one is only read.

        Raises HubError: no space, a requirement that is not available, incompatible packages, an
        environment that cannot import JupyterHub.
        """

    @abstractmethod
    def stage_as_copy(
        self, member: Member, entry: PlannedEnvironment, installer: Installer, progress: Progress
    ) -> Staged | None:
        """The same, as a copy of the model that stands for it; None where the old one has changed since."""

    @abstractmethod
    def require_staged(self, entry: PlannedEnvironment, recovery_point_id: str) -> None:
        """Raise HubError where `switch` would have nothing to put in place."""

    @abstractmethod
    def is_switched(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        """Whether the new environment is in place, and the old one kept."""

    @abstractmethod
    def is_restored(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        """Whether the old environment is in place."""

    @abstractmethod
    def switch(
        self,
        entry: PlannedEnvironment,
        recovery_point_id: str,
        installer_for: Callable[[str], Installer],
        progress: Progress,
    ) -> None:
        """Put the new environment in place and keep the old one.

        ``installer_for`` gives the installer of an environment; it is asked only for one upgraded in place.
        """

    @abstractmethod
    def switch_back(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        """Put the old environment in place and the new one where it was staged; whether that was a change."""

    @abstractmethod
    def remove_leftovers(self, entry: Planned, recovery_point_id: str, check: bool) -> bool:
        """Remove what staging has left; return whether there was anything. ``check`` only looks.

        Raises HubError instead of removing an old environment.
        """

    # Kept by a recovery point

    @abstractmethod
    def kept_name(self, recovery_point_id: str) -> str:
        """The name of the old environment after a switch."""

    @abstractmethod
    def id(self) -> str:
        """What tells it from the environments of other stagings, wherever it stands."""

    @abstractmethod
    def sha256(self) -> str:
        """Hash over everything in it, in hexadecimal. Raises HubError where something cannot be read."""

    @abstractmethod
    def changed_since_staged(self, entry: PlannedEnvironment) -> list[str] | None:
        """What has changed in it since the new one was made of it; None where nothing has.

        What was removed has no name in the list.
        """

    @abstractmethod
    def find(self, kept: KeptEnvironment) -> Environment | None:
        """The kept environment, where it is now; its own place comes first."""

    @abstractmethod
    def restore(self, kept: KeptEnvironment, recorded: Recorded) -> None:
        """Have the kept environment in its place, and keep what stood there.

        ``recorded`` has all recovery points: what is taken out goes where the newest of them that has it will
        look for it, or else where it was staged. Raises HubError when the environment is gone.
        """

    @abstractmethod
    def tidy(self, kept: KeptEnvironment, recorded: Recorded) -> None:
        """Give what interrupted restores have left under the name of another environment its own one."""

    @abstractmethod
    def remove_unneeded(self, kept: KeptEnvironment, recorded: Iterable[KeptEnvironment]) -> None:
        """Remove what a removed recovery point has kept, unless one of the ``recorded`` needs it."""
