"""The environment in the image of a hub's container, for which a view on the host stands."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Callable, Iterable

from ..errors import HubError
from ..progress import Progress
from ..releases.requirements import parse_requirement, satisfies
from ..system import container_helpers, containers, images
from ..system.image_places import ImagePlace
from ..system.trees import tree_stamp
from . import image_view, staging
from .base import Environment
from .folder import Folder
from .image_builder import BUILT
from .image_installer import ImageInstaller, have_image, image_for, view_of
from .installer import Installer, InstallerOptions
from .kept import KeptEnvironment
from .layout import IMAGE
from .packages import all_packages
from .planned import IntermediateVersion, Planned, PlannedEnvironment
from .staged import Staged

#: Repository of images that recovery points need.
KEPT = "hubops-kept"


class ImageEnvironment(Folder):
    """Staged as the view of another image. The view in its place says which image the hub is started from."""

    kind = IMAGE
    can_be_upgraded = True
    can_be_upgraded_in_place = False
    has_own_python = True
    comes_with_python = True
    installer = ImageInstaller

    def is_staged(self, entry: Planned, installer: Installer) -> bool:
        place = ImagePlace.of(Path(entry.staged_path))
        return (
            place is not None
            and super().is_staged(entry, installer)
            and images.image_id(self._image(entry, installer)) == place.image
        )

    @staticmethod
    def _image(entry: Planned, installer: Installer) -> str:
        """The name of the image that an entry of the plan asks for."""
        return image_for(view_of(entry.path), entry.requirements, _options(entry, installer))

    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        began = time.monotonic()
        old, new = Path(entry.path), Path(entry.staged_path)
        made_at, made_from, before = time.time(), tree_stamp(old), all_packages(old)
        place = view_of(entry.path)
        changed = not self.is_staged(entry, installer)
        if changed:
            staging.remove_staged(new)
            progress(f"Reading the image {self._image(entry, installer)}")
            image = have_image(place, entry.requirements, _options(entry, installer))
            image_view.make_of_image(new, place.container, image)
            _require(image, all_packages(new), entry)
            staging.confirm(entry, installer, before, made_at, made_from, [])
        if isinstance(entry, IntermediateVersion):
            old, before = new, {}
        seconds = round(time.monotonic() - began, 1)
        return Staged(str(old), str(new), entry.strategy, changed, before, all_packages(new), seconds)

    def switch(
        self,
        entry: PlannedEnvironment,
        recovery_point_id: str,
        installer_for: Callable[[str], Installer],
        progress: Progress,
    ) -> None:
        """Exchange the views, and give the image that was left a name, so that no tidying up removes it."""
        place = ImagePlace.of(Path(self.name))
        if place:
            images.tag(place.image, f"{KEPT}/{place.container.lower()}", place.image.rpartition(":")[2][:12])
        super().switch(entry, recovery_point_id, installer_for, progress)

    def remove_leftovers(self, entry: Planned, recovery_point_id: str, check: bool) -> bool:
        """As of a folder; an image that was built for it loses its name as well, so that it goes."""
        removed = super().remove_leftovers(entry, recovery_point_id, check)
        if removed and not check:
            self._remove_images(BUILT)
        return removed

    def remove_unneeded(self, kept: KeptEnvironment, recorded: Iterable[KeptEnvironment]) -> None:
        """Remove the view, and the container and the name of its image where no view has that any more."""
        super().remove_unneeded(kept, recorded)
        self._remove_images(KEPT)
        self._remove_images(BUILT)

    def _remove_images(self, repository: str) -> None:
        """Remove the containers and names of a repository's images that no view has."""
        views = (ImagePlace.of(path) for path in Path(self.name).parent.glob(f"{Path(self.name).name}*"))
        needed = {place.image: place.container for place in views if place}
        for container in set(needed.values()):
            for name, image in images.tags(f"{repository}/{container.lower()}").items():
                if image not in needed:
                    container_helpers.remove_unused()
                    containers.remove(containers.aside(container, image))
                    images.untag(name)

    def find(self, kept: KeptEnvironment) -> Environment | None:
        found = super().find(kept)
        place = ImagePlace.of(Path(found.name)) if found else None
        return found if place and images.image_id(place.image) else None


def _options(entry: Planned, installer: Installer) -> InstallerOptions:
    """How the image of an entry is had: the one that was named is the target's alone."""
    options = installer.options
    return replace(options, image="") if isinstance(entry, IntermediateVersion) else options


def _require(image: str, packages: dict[str, str], entry: Planned) -> None:
    """Raise HubError where an image does not have what a plan asks for."""
    for wanted in filter(None, map(parse_requirement, entry.requirements)):
        found = packages.get(wanted.name)
        if found is None or not satisfies(found, wanted.specifiers):
            raise HubError(
                f"The image {image} has {wanted.name} {found}, not {wanted.name}{wanted.specifiers}."
                if found
                else f"The image {image} has no {wanted.name}.",
                "Name an image that has it in jupyterhub_image.",
            )
