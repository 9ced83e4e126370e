"""The record of an environment in a recovery point."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeptEnvironment:
    """An environment, what tells it wherever it stands, and the list of its packages."""

    path: str
    kind: str
    aside: str
    environment_id: str
    sha256: str
    python_version: str | None
    jupyterhub: str | None
    packages_file: str
    packages_sha256: str
    planned: bool
