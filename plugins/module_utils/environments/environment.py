"""Environment: one Python environment, read from disk without ever starting its interpreter."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .layout import kind_of, python_of, python_version_of
from .packages import all_packages, related


@dataclass(frozen=True)
class EnvironmentFacts:
    """One Python environment, the hub's or one of single-user servers, as it is on the host."""

    path: str
    """As the service names it: a link stays one."""
    kind: str
    """``venv``, ``conda`` or ``system``."""
    python: str | None
    """Its interpreter; None where that is gone, as after an upgrade of the operating system."""
    python_version: str | None
    """``3.11.2``, or only ``3.11`` where nothing on disk tells the last number."""
    jupyterhub: str | None
    """The version of jupyterhub that is installed."""
    packages: dict[str, str]
    """Versions of the packages related to JupyterHub, by normalised name."""


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
