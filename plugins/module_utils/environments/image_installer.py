"""ImageInstaller: what an upgrade makes of an image is another image, which is named, or built from it."""

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
from . import image_builder, image_view
from .installer import Installer, InstallerOptions, silent
from .layout import site_packages
from .packages import all_packages, installed_version

#: Views of images that were named, until this process ends.
_views: dict[str, Path] = {}
_kept = contextlib.ExitStack()
atexit.register(_kept.close)
_reading = threading.Lock()


class ImageInstaller(Installer):
    """Answers what another image has, and builds it where the administrator has named none.

    ``environment`` is the view of the present one.
    """

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
        after = all_packages(self._offered(requirements))
        return {name: version for name, version in after.items() if before.get(name) != version}

    def fetch(self, version: str, folder: Path) -> Path:
        offered = self._offered([f"jupyterhub=={version}"])
        found = installed_version(offered, "jupyterhub")
        if found is None or parse_release(found) != parse_release(version):
            raise HubError(
                f"The image {self.image} has JupyterHub {found}, not {version}.",
                "Name an image with that release in jupyterhub_image, or its release in jupyterhub_version.",
            )
        return site_packages(offered)[0]

    def check(self, environment: str) -> list[str]:
        return []

    def _offered(self, requirements: Iterable[str]) -> Path:
        """A view of the image that has these, for as long as this process lives."""
        place = view_of(self._environment)
        with _reading:
            self.image = have_image(place, requirements, self.options)
            if self.image not in _views:
                folder = _kept.enter_context(tempfile.TemporaryDirectory(prefix="hubops-image-"))
                view = Path(folder, "view")
                image_view.make_of_image(view, place.container, self.image)
                _views[self.image] = view
            return _views[self.image]


def view_of(environment: str) -> ImagePlace:
    """What the view of an image stands for. Raises HubError where it is none."""
    place = ImagePlace.of(Path(environment))
    if place is None:
        raise HubError(f"{environment} is not the view of an image any more.", "Run again: it is made anew.")
    return place


def image_for(place: ImagePlace, requirements: Iterable[str], options: InstallerOptions) -> str:
    """The name of the image that is to have these: the one that was named, or that is built from a hub's."""
    return options.image or image_builder.name_of(place, list(requirements), options)


def have_image(place: ImagePlace, requirements: Iterable[str], options: InstallerOptions) -> str:
    """The same, built where none was named. Raises HubError as `image_builder.build`."""
    return options.image or image_builder.build(place, list(requirements), options)
