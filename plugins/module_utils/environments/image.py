"""The environment in an image of a container, which a view on the host stands for."""

from __future__ import annotations

from .folder import Folder
from .layout import IMAGE


class ImageEnvironment(Folder):
    """Found and named in recovery points; another image would have to take its place."""

    kind = IMAGE
    can_be_upgraded_in_place = False
    has_own_python = True
