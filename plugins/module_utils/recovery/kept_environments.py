"""The environments of a recovery point: kept as they are, told by identity, proven by a hash."""

from __future__ import annotations

from pathlib import Path

from ..deployment.model import Deployment
from ..environments import switching
from ..environments.packages import all_packages
from ..environments.planned import PlannedEnvironment
from ..environments.staging import environment_id, is_outdated, read_marker
from ..errors import HubError
from ..planning.plan import Plan
from ..system import files, state
from ..system.execution_context import NEEDS_ROOT
from ..system.trees import changed_since, tree_sha256
from . import locations
from .manifest import KeptEnvironment, Manifest

MOST_FILES = 5


def keep(point: Path, deployment: Deployment, plan: Plan | None) -> tuple[KeptEnvironment, ...]:
    """Say what each environment is and where it will be after a switch: the manifest's ``environments``."""
    planned = {entry.path: entry for entry in plan.environments} if plan else {}
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
                sha256=_proven(found.path, planned),
                python_version=found.python_version,
                jupyterhub=found.jupyterhub,
                packages_file=name,
                packages_sha256=files.sha256(point / name),
                planned=found.path in planned,
            )
        )
    return tuple(kept)


def required(manifest: Manifest) -> list[KeptEnvironment]:
    """The environments without which nothing can be restored: the hub's, and those that were to be exchanged.

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


def _proven(path: str, planned: dict[str, PlannedEnvironment]) -> str:
    """The hash of an environment from which nothing is missing in the staged one that replaces it.

    From now on the hash tells of every change. Raises HubError where something has changed before.
    """
    found = _hash(Path(path))
    if path in planned and is_outdated(planned[path]):
        staged = planned[path].staged_path
        changed = changed_since(Path(path), read_marker(staged)["made_at"])
        raise HubError(
            f"Files in {path} have changed since {staged} was made of it: "
            f"{', '.join(changed[:MOST_FILES]) or 'some were removed'}.",
            "Run the upgrade again, for a new one that has the change. Move what always changes elsewhere.",
        )
    return found


def _hash(folder: Path) -> str:
    try:
        return tree_sha256(folder)
    except OSError as error:
        raise HubError(f"{error.filename} cannot be read: {error.strerror}.", NEEDS_ROOT) from error


def described(jupyterhub: str | None, python_version: str | None) -> str:
    """What an environment is, kept or not, for people."""
    return f"JupyterHub {jupyterhub}, Python {python_version}"
