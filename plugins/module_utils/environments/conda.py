"""Environments made by conda, mamba or micromamba."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable

from ..progress import Progress
from ..releases.requirements import normalised
from . import conda_tool, staging
from .conda_installer import CondaInstaller
from .conda_records import explicit, nested_environments, pins_against, records
from .conda_shares import CondaPackages
from .facts import ENVIRONMENTS_INSIDE, NO_CONDA, PINNED, Obstacle
from .folder import Folder
from .installer import Installer
from .layout import CONDA
from .planned import Planned
from .staged import Staged


class CondaEnvironment(Folder):
    """Staged as a copy, in which conda and pip each change the packages that they have installed."""

    kind = CONDA
    can_be_upgraded = True
    # conda writes into files that the kept environment would share, such as its own history.
    can_be_upgraded_in_place = False
    has_own_python = True
    installer = CondaInstaller

    def packages(self) -> dict[str, str]:
        condas = {normalised(name): record.version for name, record in records(Path(self.name)).items()}
        return {**condas, **super().packages()}

    def package_list(self) -> list[str]:
        installed = records(Path(self.name))
        condas = {normalised(name): record.version for name, record in installed.items()}
        pips = [
            f"# pip: {name}=={version}"
            for name, version in sorted(super().packages().items())
            if condas.get(name) != version
        ]
        return [*explicit(installed.values()), *pips]

    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        return staging.stage(entry, installer, progress)

    def obstacles(self, requirements: Iterable[str]) -> list[Obstacle]:
        root = Path(self.name)
        wanted = CondaPackages(root).shares(requirements).conda
        found = []
        if wanted and conda_tool.find(root) is None:
            found.append(Obstacle(NO_CONDA, conda_tool.none_found(root), conda_tool.NONE_FOUND_FIX))
        for line in pins_against(root, wanted):
            found.append(Obstacle(PINNED, f"{root}/conda-meta/pinned has {line}."))
        inside = nested_environments(root)
        if inside:
            found.append(Obstacle(ENVIRONMENTS_INSIDE, f"{root} has {', '.join(inside)} within it."))
        return found
