"""CondaInstaller: what conda has installed is changed by conda, and everything else by pip or uv."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

from ..errors import HubError
from ..releases.requirements import normalised
from . import conda_tool
from .conda_records import JUPYTERHUB, channels
from .conda_shares import CondaPackages
from .conda_tool import Order
from .installer import Installer, InstallerOptions, silent
from .layout import python_version_of
from .packages import installed_version

#: In this time the index of a channel is fetched, and the versions of a whole environment are found.
DRY_RUN_SECONDS = 300
NAME_VERSIONS = "Name compatible versions in jupyterhub_packages (or jupyterhub_user_packages)."


class CondaInstaller(Installer):
    """conda, mamba or micromamba, with the channels that the packages of an environment came from.

    Packages that pip has installed into the environment remain pip's: for them it is an `Installer`.
    """

    takes_wheels = False

    def __init__(
        self,
        options: InstallerOptions,
        environment: str,
        progress: Callable[[str], None] = silent,
        may_build: bool = True,
    ) -> None:
        may_build = may_build and not installed_version(environment, "pip")
        super().__init__(options, environment, progress, may_build)
        self._root = Path(environment)
        self._packages = CondaPackages(self._root)
        self._python = f"python={'.'.join(str(python_version_of(self._root)).split('.')[:2])}"

    def install(
        self,
        environment: str,
        requirements: Iterable[str],
        progress: Callable[[str], None] = silent,
    ) -> None:
        shares = self._packages.shares(requirements)
        if shares.conda:
            specs = [str(spec) for spec in shares.conda]
            progress(f"Installing {', '.join(specs)} by conda")
            # Beside what it is for: there is space for it.
            with _cache(Path(environment)) as cache:
                self._carry_out(Order("install", Path(environment), specs, cache))
        if shares.pip:
            super().install(environment, shares.pip, progress)

    def planned(self, environment: str, requirements: Iterable[str]) -> dict[str, str]:
        shares = self._packages.shares(requirements)
        found: dict[str, str] = {}
        if shares.conda:
            with _cache() as cache:
                specs = [str(spec) for spec in shares.conda]
                if all(spec.name in JUPYTERHUB and not spec.is_exact for spec in shares.conda):
                    # In an environment that meets them conda would keep what it has: the newest are wanted.
                    order = Order("create", cache / "new", [*specs, self._python], cache, dry_run=True)
                else:
                    order = Order("install", Path(environment), specs, cache, dry_run=True)
                linked = conda_tool.linked(self._carry_out(order, seconds=DRY_RUN_SECONDS))
            found.update((normalised(name), version) for name, version in linked.items())
            hub = next((linked[name] for name in JUPYTERHUB if name in linked), None)
            found.update({"jupyterhub": hub} if hub else {})
        if shares.pip:
            found.update(super().planned(environment, shares.pip))
        return found

    def create(self, environment: str, python: str, prompt: str, system_packages: bool = False) -> None:
        if not self._packages.jupyterhub():
            super().create(environment, python, prompt, system_packages)
            return
        new = Path(environment)
        with _cache(new.parent) as cache:
            self._carry_out(Order("create", new, [self._python], cache))

    def fetch(self, version: str, folder: Path) -> Path:
        package = self._packages.jupyterhub()
        if not package:
            return super().fetch(version, folder)
        cache = folder / "packages"
        specs = [f"{package.name}=={version}"]
        order = Order("create", folder / "prefix", specs, cache, download_only=True, alone=True)
        self._carry_out(order, "Name a version that the channel has.", DRY_RUN_SECONDS)
        for metadata in cache.glob("*/**/jupyterhub-*.dist-info/METADATA"):
            return metadata.parent.parent
        raise HubError(
            f"The conda package {package.name} {version} has no jupyterhub in it.", "Name another version."
        )

    def _carry_out(
        self, order: Order, hint: str = NAME_VERSIONS, seconds: float | None = None
    ) -> dict[str, Any]:
        tool = conda_tool.find(self._root)
        if tool is None:
            raise HubError(conda_tool.none_found(self._root), conda_tool.NONE_FOUND_FIX)
        sources = channels(self._packages.records.values())
        return conda_tool.carry_out(tool, order, sources, self._variables(), hint, seconds)


@contextlib.contextmanager
def _cache(folder: Path | None = None) -> Iterator[Path]:
    """A folder in which packages are unpacked: the caches of the host belong to their users."""
    with tempfile.TemporaryDirectory(prefix=".hubops-conda-", dir=folder) as cache:
        yield Path(cache)
