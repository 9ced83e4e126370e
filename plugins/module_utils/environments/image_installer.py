"""ImageInstaller: what an upgrade makes of an image is another image, which the administrator names."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import threading
from pathlib import Path
from typing import Callable, Iterable

from ..errors import HubError
from ..releases.versions import parse_release
from ..system.image_places import ImagePlace
from . import image_view
from .installer import Installer, InstallerOptions, silent
from .layout import site_packages
from .packages import all_packages, installed_version

#: Views of images that were named, until this process ends.
_views: dict[str, Path] = {}
_kept = contextlib.ExitStack()
atexit.register(_kept.close)
_reading = threading.Lock()


class ImageInstaller(Installer):
    """Installs nothing: answers what another image has. ``environment`` is the view of the present one."""

    name = "image"

    def __init__(
        self,
        options: InstallerOptions,
        environment: str,
        progress: Callable[[str], None] = silent,
        may_build: bool = True,
    ) -> None:
        self.options = options
        self._environment = environment

    def planned(self, environment: str, requirements: Iterable[str]) -> dict[str, str]:
        before = all_packages(environment)
        after = all_packages(self._offered())
        return {name: version for name, version in after.items() if before.get(name) != version}

    def fetch(self, version: str, folder: Path) -> Path:
        offered = self._offered()
        found = installed_version(offered, "jupyterhub")
        if found is None or parse_release(found) != parse_release(version):
            raise HubError(
                f"The image {self.options.image} has JupyterHub {found}, not {version}.",
                "Name an image with that release in jupyterhub_image, or its release in jupyterhub_version.",
            )
        return site_packages(offered)[0]

    def check(self, environment: str) -> list[str]:
        return []

    def _offered(self) -> Path:
        """A view of the image that was named, for as long as this process lives."""
        place = ImagePlace.of(Path(self._environment))
        if place is None or not self.options.image:
            raise HubError(
                f"The hub runs in a container of {place.image_name if place else 'an image'}, which no "
                "installer changes.",
                "Name an image of the new release: jupyterhub_image.",
            )
        with _reading:
            if self.options.image not in _views:
                folder = _kept.enter_context(tempfile.TemporaryDirectory(prefix="hubops-image-"))
                view = Path(folder, "view")
                image_view.make_of_image(view, place.container, self.options.image)
                _views[self.options.image] = view
            return _views[self.options.image]
