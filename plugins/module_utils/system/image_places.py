"""ImagePlace: an environment in an image, for which a folder of the host stands."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..shapes import from_dict
from . import files

#: In such a folder: what it stands for.
PLACE = ".hubops-image.json"


@dataclass(frozen=True)
class ImagePlace:
    """An environment in an image of a hub's container."""

    container: str
    """The container's name."""
    image: str
    """The image's id."""
    image_name: str
    """As it was named."""
    prefix: str
    """The environment's path in the image."""
    python: str
    """Its interpreter's."""
    python_version: str

    @classmethod
    def of(cls, folder: Path) -> ImagePlace | None:
        """What a folder of the host stands for; None where it is what it is."""
        file = folder / PLACE
        try:
            # Only we make such folders: one in another user's environment means nothing.
            is_ours = file.stat().st_uid == os.geteuid()
            return from_dict(cls, json.loads(files.beginning(file))) if is_ours else None
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None


def place_around(path: str) -> tuple[Path, ImagePlace | None]:
    """The folder around a path that stands for an environment in an image."""
    for folder in Path(path).parents if os.path.isabs(path) else ():
        place = ImagePlace.of(folder)
        if place:
            return folder, place
    return Path(path), None
