"""The Python of the operating system, or one that was installed like it."""

from __future__ import annotations

from .folder import Folder
from .layout import SYSTEM


class SystemEnvironment(Folder):
    """Found, kept and restored; it belongs to the distribution's package manager."""

    kind = SYSTEM
