"""Environment: one Python environment, read from disk without ever starting its interpreter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .layout import kind_of, python_of, python_version_of
from .packages import all_packages, related


def read_environment(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The environment at ``path`` in the shape of the contract (docs/architecture.md).

    ``python`` is None when the interpreter is gone, as after an upgrade of the operating system that took the
    venv's base Python away. Raises HubError when there is no environment at ``path`` or it may not be read.
    """
    root = Path(path)
    packages = all_packages(root)
    return {
        "path": str(root),
        "kind": kind_of(root),
        "python": python_of(root),
        "python_version": python_version_of(root),
        "jupyterhub": packages.get("jupyterhub"),
        "packages": related(packages),
    }
