"""An environment of another user: as those of its kind, but its owner does whatever executes or writes."""

from __future__ import annotations

from typing import Any, Callable, Iterable

from ..progress import Progress
from ..shapes import from_dict
from ..system.as_user import get_ready
from . import identical
from .as_owner import Owner, OwnersInstaller
from .base import Environment, Recorded
from .facts import EnvironmentFacts, Obstacle
from .installer import Installer, InstallerOptions, silent
from .kept import KeptEnvironment
from .planned import Planned, PlannedEnvironment
from .staged import Staged


class OwnedEnvironment(Environment):
    """What is only read is read as it is; see `as_owner` for the rest."""

    def __init__(self, like: Environment, owner: Owner) -> None:
        super().__init__(like.name)
        get_ready()
        self._like, self._owner = like, owner
        self.kind, self.can_be_upgraded = like.kind, like.can_be_upgraded
        self.can_be_upgraded_in_place, self.can_be_a_copy = like.can_be_upgraded_in_place, like.can_be_a_copy
        self.has_own_python, self.comes_with_python = like.has_own_python, like.comes_with_python

    # Only read

    def facts(self) -> EnvironmentFacts:
        return self._like.facts()

    def packages(self) -> dict[str, str]:
        return self._like.packages()

    def package_list(self) -> list[str]:
        return self._like.package_list()

    def is_staged(self, entry: Planned, installer: Installer) -> bool:
        return self._like.is_staged(entry, installer)

    def is_switched(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        return self._like.is_switched(entry, recovery_point_id)

    def is_restored(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        return self._like.is_restored(entry, recovery_point_id)

    def kept_name(self, recovery_point_id: str) -> str:
        return self._like.kept_name(recovery_point_id)

    def id(self) -> str:
        return self._like.id()

    def sha256(self) -> str:
        return self._like.sha256()

    def changed_since_staged(self, entry: PlannedEnvironment) -> list[str] | None:
        return self._like.changed_since_staged(entry)

    def find(self, kept: KeptEnvironment) -> Environment | None:
        return self._like.find(kept)

    # Done by the owner

    def make_installer(
        self,
        options: InstallerOptions,
        environment: str,
        progress: Callable[[str], None] = silent,
        may_build: bool = True,
    ) -> Installer:
        return OwnersInstaller(self._owner, self._like.installer, options, environment, progress, may_build)

    def obstacles(self, requirements: Iterable[str]) -> list[Obstacle]:
        if self._owner.obstacle:
            return [self._owner.obstacle]
        found = self._do("obstacles", list(requirements))
        return [from_dict(Obstacle, each) for each in found]

    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        self._owner.require_able()
        done = _owners(installer).call(_stage, *self._as_it_is, entry, entry=entry, progress=progress)
        return from_dict(Staged, done)

    def stage_as_copy(
        self, member: identical.Member, entry: PlannedEnvironment, installer: Installer, progress: Progress
    ) -> Staged | None:
        self._owner.require_able()
        with member.model.opened() as opened:
            done = _owners(installer).call(
                _stage_as_copy, *self._as_it_is, member, entry, progress=progress, opened=opened
            )
        return from_dict(Staged, done) if done else None

    def require_staged(self, entry: PlannedEnvironment, recovery_point_id: str) -> None:
        self._do("require_staged", entry, recovery_point_id)

    def switch(
        self,
        entry: PlannedEnvironment,
        recovery_point_id: str,
        installer_for: Callable[[str], Installer],
        progress: Progress,
    ) -> None:
        if not entry.in_place:
            self._owner.call(_switch, *self._as_it_is, entry, recovery_point_id, progress=progress)
            return
        self._owner.require_able()
        installer = _owners(installer_for(entry.path))
        arguments = (*self._as_it_is, entry, recovery_point_id)
        installer.call(_switch_in_place, *arguments, entry=entry, progress=progress)

    def switch_back(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        return bool(self._do("switch_back", entry, recovery_point_id))

    def remove_leftovers(self, entry: Planned, recovery_point_id: str, check: bool) -> bool:
        return bool(self._do("remove_leftovers", entry, recovery_point_id, check))

    def restore(self, kept: KeptEnvironment, recorded: Recorded) -> None:
        self._do("restore", kept, dict(recorded))

    def tidy(self, kept: KeptEnvironment, recorded: Recorded) -> None:
        self._do("tidy", kept, dict(recorded))

    def remove_unneeded(self, kept: KeptEnvironment, recorded: Iterable[KeptEnvironment]) -> None:
        self._do("remove_unneeded", kept, list(recorded))

    @property
    def _as_it_is(self) -> tuple[type[Environment], str]:
        """What the environment is made of again in the owner's process."""
        return type(self._like), self.name

    def _do(self, method: str, *arguments: Any) -> Any:
        return self._owner.call(_method, *self._as_it_is, method, arguments)


def _owners(installer: Installer) -> OwnersInstaller:
    if not isinstance(installer, OwnersInstaller):
        raise AssertionError("Only the environment's own installer has its owner's process.")
    return installer


# In the owner's process


def _method(
    progress: Progress, make: type[Environment], name: str, method: str, arguments: Iterable[Any]
) -> Any:
    return getattr(make(name), method)(*arguments)


def _stage(
    progress: Progress, installer: Installer, make: type[Environment], name: str, entry: Planned
) -> Staged:
    return make(name).stage(entry, installer, progress)


def _stage_as_copy(
    progress: Progress,
    installer: Installer,
    make: type[Environment],
    name: str,
    member: identical.Member,
    entry: PlannedEnvironment,
) -> Staged | None:
    return make(name).stage_as_copy(member.here(), entry, installer, progress)


def _switch(
    progress: Progress, make: type[Environment], name: str, entry: PlannedEnvironment, recovery_point_id: str
) -> None:
    make(name).switch(entry, recovery_point_id, _no_installer, progress)


def _switch_in_place(
    progress: Progress,
    installer: Installer,
    make: type[Environment],
    name: str,
    entry: PlannedEnvironment,
    recovery_point_id: str,
) -> None:
    make(name).switch(entry, recovery_point_id, lambda _path: installer, progress)


def _no_installer(path: str) -> Installer:
    raise AssertionError(f"Nothing is installed into {path}.")
