"""Environments that are folders: exchanged by renaming, identified by a marker and their version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterable

from ..errors import HubError
from ..progress import Progress
from ..system.execution_context import NEEDS_ROOT
from ..system.trees import changed_since, tree_sha256
from . import identical, locations, staging, switching
from .base import Environment, Recorded
from .environment import read_environment
from .facts import EnvironmentFacts, Obstacle
from .installer import Installer
from .kept import KeptEnvironment
from .packages import all_packages
from .planned import Planned, PlannedEnvironment
from .staged import Staged


class Folder(Environment):
    """One that can be found, kept and restored; kinds that can be staged as well say how."""

    can_be_upgraded = False
    can_be_upgraded_in_place = True
    has_own_python = False
    comes_with_python = False
    installer = Installer

    def facts(self) -> EnvironmentFacts:
        return read_environment(self.name)

    def packages(self) -> dict[str, str]:
        return all_packages(self.name) if os.path.lexists(self.name) else {}

    def package_list(self) -> list[str]:
        return [f"{name}=={version}" for name, version in sorted(self.packages().items())]

    def obstacles(self, requirements: Iterable[str]) -> list[Obstacle]:
        return []

    def is_staged(self, entry: Planned, installer: Installer) -> bool:
        return staging.is_staged(entry, installer)

    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        raise HubError(
            f"{self.name} is a {self.kind} environment, which cannot be staged.",
            "Upgrade it with what has made it.",
        )

    def stage_as_copy(
        self, member: identical.Member, entry: PlannedEnvironment, installer: Installer, progress: Progress
    ) -> Staged | None:
        return identical.stage(member, entry, installer, progress)

    def require_staged(self, entry: PlannedEnvironment, recovery_point_id: str) -> None:
        switching.require_staged(entry, recovery_point_id)

    def is_switched(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        return switching.is_switched(entry, recovery_point_id)

    def is_restored(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        return switching.is_restored(entry, recovery_point_id)

    def switch(
        self,
        entry: PlannedEnvironment,
        recovery_point_id: str,
        installer_for: Callable[[str], Installer],
        progress: Progress,
    ) -> None:
        switching.switch(entry, recovery_point_id, installer_for, progress)

    def switch_back(self, entry: PlannedEnvironment, recovery_point_id: str) -> bool:
        return switching.switch_back(entry, recovery_point_id)

    def remove_leftovers(self, entry: Planned, recovery_point_id: str, check: bool) -> bool:
        return switching.remove_leftovers(entry, recovery_point_id, check)

    def kept_name(self, recovery_point_id: str) -> str:
        return switching.aside_path(self.name, recovery_point_id)

    def id(self) -> str:
        return staging.environment_id(self.name)

    def sha256(self) -> str:
        try:
            return tree_sha256(Path(self.name))
        except OSError as error:
            raise HubError(f"{error.filename} cannot be read: {error.strerror}.", NEEDS_ROOT) from error

    def changed_since_staged(self, entry: PlannedEnvironment) -> list[str] | None:
        if not staging.is_outdated(entry):
            return None
        return changed_since(Path(self.name), staging.read_marker(entry.staged_path)["made_at"])

    def find(self, kept: KeptEnvironment) -> Environment | None:
        found = locations.find(kept)
        return type(self)(str(found)) if found else None

    def restore(self, kept: KeptEnvironment, recorded: Recorded) -> None:
        locations.restore(kept, recorded)

    def tidy(self, kept: KeptEnvironment, recorded: Recorded) -> None:
        locations.tidy(kept, recorded)

    def remove_unneeded(self, kept: KeptEnvironment, recorded: Iterable[KeptEnvironment]) -> None:
        locations.remove_unneeded(kept, recorded)
