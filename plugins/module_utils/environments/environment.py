"""Environment: one Python environment, read from disk without ever starting its interpreter."""

from __future__ import annotations

import os
from pathlib import Path

from .facts import EnvironmentFacts
from .layout import kind_of, python_of, python_version_of
from .packages import all_packages, related


def read_environment(path: str | os.PathLike[str]) -> EnvironmentFacts:
    """The environment at ``path``. Raises HubError when there is none, or it may not be read."""
    root = Path(path)
    packages = all_packages(root)
    return EnvironmentFacts(
        path=str(root),
        kind=kind_of(root),
        python=python_of(root),
        python_version=python_version_of(root),
        jupyterhub=packages.get("jupyterhub"),
        packages=related(packages),
    )
