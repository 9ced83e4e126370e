"""The environment in the image of a hub's container, for which a view on the host stands."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Iterable

from ..errors import HubError
from ..progress import Progress
from ..releases.requirements import parse_requirement, satisfies
from ..system import containers, images
from ..system.image_places import ImagePlace
from ..system.trees import tree_stamp
from . import image_view, staging
from .base import Environment
from .folder import Folder
from .image_installer import ImageInstaller
from .installer import Installer
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
            and images.image_id(installer.options.image) == place.image
        )

    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        if isinstance(entry, IntermediateVersion):
            raise HubError(
                f"The migration would go through JupyterHub {entry.version}, for which there is no image.",
                f"Upgrade to {entry.version} first, with an image of it.",
            )
        began = time.monotonic()
        old, new = Path(entry.path), Path(entry.staged_path)
        made_at, made_from, before = time.time(), tree_stamp(old), all_packages(old)
        place = ImagePlace.of(old)
        if place is None:
            raise HubError(f"{old} is not the view of an image any more.", "Run again: it is made anew.")
        changed = not self.is_staged(entry, installer)
        if changed:
            staging.remove_staged(new)
            progress(f"Reading the image {installer.options.image}")
            image_view.make_of_image(new, place.container, installer.options.image)
            _require(installer.options.image, all_packages(new), entry)
            staging.confirm(entry, installer, before, made_at, made_from, [])
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

    def remove_unneeded(self, kept: KeptEnvironment, recorded: Iterable[KeptEnvironment]) -> None:
        """Remove the view, and the container and the name of its image where no view has that any more."""
        super().remove_unneeded(kept, recorded)
        views = (ImagePlace.of(path) for path in Path(self.name).parent.glob(f"{Path(self.name).name}*"))
        needed = {place.image: place.container for place in views if place}
        for container in set(needed.values()):
            for name, image in images.tags(f"{KEPT}/{container.lower()}").items():
                if image not in needed:
                    containers.remove(containers.aside(container, image))
                    images.untag(name)

    def find(self, kept: KeptEnvironment) -> Environment | None:
        found = super().find(kept)
        place = ImagePlace.of(Path(found.name)) if found else None
        return found if place and images.image_id(place.image) else None


def _require(image: str, packages: dict[str, str], entry: PlannedEnvironment) -> None:
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
