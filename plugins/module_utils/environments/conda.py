"""Environments made by conda, mamba or micromamba."""

from __future__ import annotations

from .folder import Folder
from .layout import CONDA


class CondaEnvironment(Folder):
    """Found, kept and restored."""

    kind = CONDA
