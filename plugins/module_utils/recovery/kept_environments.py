"""The environments of a recovery point: kept as they are, told by identity, proven by a hash."""

from __future__ import annotations

from pathlib import Path

from ..deployment.model import Deployment
from ..environments import switching
from ..environments.packages import all_packages
from ..environments.staging import environment_id
from ..errors import HubError
from ..planning.plan import Plan
from ..system import files, state
from ..system.execution_context import NEEDS_ROOT
from ..system.trees import tree_sha256
from . import locations
from .manifest import KeptEnvironment, Manifest


def keep(point: Path, deployment: Deployment, plan: Plan | None) -> tuple[KeptEnvironment, ...]:
    """Say what each environment is and where it will be after a switch: the manifest's ``environments``."""
    planned = {entry.path for entry in plan.environments} if plan else set()
    kept = []
    state.make_private(point / "environments")
    for number, found in enumerate(deployment.environments):
        name = f"environments/{number}.txt"
        lines = [f"{name}=={version}\n" for name, version in sorted(all_packages(found.path).items())]
        files.write(point / name, "".join(lines).encode(), mode=0o600)
        kept.append(
            KeptEnvironment(
                path=found.path,
                aside=switching.aside_path(found.path, point.name),
                environment_id=environment_id(found.path),
                sha256=_hash(Path(found.path)),
                python_version=found.python_version,
                jupyterhub=found.jupyterhub,
                packages_file=name,
                packages_sha256=files.sha256(point / name),
                planned=found.path in planned,
            )
        )
    return tuple(kept)


def required(manifest: Manifest) -> list[KeptEnvironment]:
    """The environments without which there is no way back: the hub's, and those that were to be exchanged.

    Another one may have been changed or removed by its owner since; then it stays as it is.
    """
    hub = manifest.deployment.hub_environment.path
    return [entry for entry in manifest.environments if entry.planned or entry.path == hub]


def restorable(manifest: Manifest) -> list[KeptEnvironment]:
    """The environments that a restore brings back: the `required` ones, and others that are not gone."""
    needed = required(manifest)
    return [
        entry
        for entry in manifest.environments
        if entry in needed or locations.state_of(entry) != locations.GONE
    ]


def changes(manifest: Manifest) -> list[str]:
    """What of the required environments is not as the manifest says; reads every file of them."""
    wrong = []
    for entry in required(manifest):
        folder = locations.find(entry)
        if folder is None:
            wrong.append(f"the environment {entry.aside} of {entry.path} is gone")
        elif _hash(folder) != entry.sha256:
            wrong.append(
                f"the environment {folder} has changed since; {entry.packages_file} has its packages"
            )
    return wrong


def _hash(folder: Path) -> str:
    try:
        return tree_sha256(folder)
    except OSError as error:
        raise HubError(f"{error.filename} cannot be read: {error.strerror}.", NEEDS_ROOT) from error


def described(jupyterhub: str | None, python_version: str | None) -> str:
    """What an environment is, kept or not, for people."""
    return f"JupyterHub {jupyterhub}, Python {python_version}"
