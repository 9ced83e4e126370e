"""Environments made by venv, virtualenv or uv."""

from __future__ import annotations

from ..progress import Progress
from . import staging
from .folder import Folder
from .installer import Installer
from .layout import VENV
from .planned import Planned
from .staged import Staged


class Venv(Folder):
    """Staged as a copy, or built again for another interpreter, by pip or uv."""

    kind = VENV
    can_be_upgraded = True
    can_be_a_copy = True

    def stage(self, entry: Planned, installer: Installer, progress: Progress) -> Staged:
        return staging.stage(entry, installer, progress)
