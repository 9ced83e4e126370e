"""The environments of a recovery point: kept as they are, identified by their marker, checked by a hash."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterable

from ..deployment.model import Deployment
from ..environments.base import Environment
from ..environments.kept import KeptEnvironment
from ..environments.kinds import environment_of
from ..environments.planned import PlannedEnvironment
from ..errors import HubError
from ..planning.plan import Plan
from ..system import files, state
from . import manifest as manifests
from .manifest import Manifest

MOST_FILES = 5

#: Another environment is in place; the kept one stands elsewhere.
ELSEWHERE = "elsewhere"
#: In place.
HERE = "here"
#: Nowhere.
GONE = "gone"


def keep(point: Path, deployment: Deployment, plan: Plan | None) -> tuple[KeptEnvironment, ...]:
    """Say what each environment is and where it will be after a switch: the manifest's ``environments``."""
    planned = {entry.path: entry for entry in plan.environments} if plan else {}
    kept = []
    state.make_private(point / "environments")
    for number, found in enumerate(deployment.environments):
        environment = environment_of(found.kind, found.path)
        name = f"environments/{number}.txt"
        lines = [f"{line}\n" for line in environment.package_list()]
        files.write(point / name, "".join(lines).encode(), mode=0o600)
        kept.append(
            KeptEnvironment(
                path=found.path,
                kind=found.kind,
                aside=environment.kept_name(point.name),
                environment_id=environment.id(),
                sha256=_proven(environment, planned.get(found.path)),
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
    """The environments that a restore restores: the `required` ones, and others that are not gone."""
    needed = required(manifest)
    return [entry for entry in manifest.environments if entry in needed or state_of(entry) != GONE]


def find(entry: KeptEnvironment) -> Environment | None:
    """The environment of a manifest's entry where it is now; None where it is gone."""
    return environment_of(entry.kind, entry.path).find(entry)


def state_of(entry: KeptEnvironment) -> str:
    """Whether the environment of a manifest's entry is `HERE`, `ELSEWHERE` or `GONE`."""
    found = find(entry)
    if found is None:
        return GONE
    return HERE if found.name == entry.path else ELSEWHERE


def require(manifest: Manifest) -> None:
    """Raise HubError that names every `required` environment that is gone."""
    gone = [
        f"the environment of {entry.path} with JupyterHub {entry.jupyterhub} is gone "
        f"(it would be {entry.aside})"
        for entry in required(manifest)
        if state_of(entry) == GONE
    ]
    if gone:
        raise HubError(f"Nothing can be restored: {'; '.join(gone)}.", "Nothing was touched.")


def restore(entry: KeptEnvironment, points: Path) -> None:
    """Have the environment of a manifest's entry in its place; ``points`` has all recovery points."""
    environment_of(entry.kind, entry.path).restore(entry, _recorded(points, entry.path))


def tidy(entry: KeptEnvironment, points: Path) -> None:
    """Give what interrupted restores have left under the name of another environment its own one."""
    environment_of(entry.kind, entry.path).tidy(entry, _recorded(points, entry.path))


def remove_unneeded(entries: Iterable[KeptEnvironment], points: Path) -> None:
    """Remove the environments of a recovery point that is no more, but not those that another point has."""
    for entry in entries:
        recorded = _recorded(points, entry.path).values()
        environment_of(entry.kind, entry.path).remove_unneeded(entry, recorded)


def changes(manifest: Manifest) -> list[str]:
    """What of the required environments is not as the manifest says; reads every file of them."""
    wrong = []
    for entry in required(manifest):
        found = find(entry)
        if found is None:
            wrong.append(f"the environment {entry.aside} of {entry.path} is gone")
        elif found.sha256() != entry.sha256:
            wrong.append(
                f"the environment {found.name} has changed since; {entry.packages_file} has its packages"
            )
    return wrong


def _recorded(points: Path, place: str) -> dict[str, KeptEnvironment]:
    """The records of the environment at ``place`` in the recovery points below a folder, oldest first."""
    found: dict[str, KeptEnvironment] = {}
    for point in manifests.listed(points):
        with contextlib.suppress(HubError):  # one that cannot be read needs nothing that is known
            entries = (entry for entry in manifests.read(point).environments if entry.path == place)
            found.update((point.name, entry) for entry in entries)
    return found


def _proven(environment: Environment, planned: PlannedEnvironment | None) -> str:
    """The hash of an environment from which nothing is missing in the staged one that replaces it.

    From now on the hash tells of every change. Raises HubError where something has changed before.
    """
    found = environment.sha256()
    changed = environment.changed_since_staged(planned) if planned else None
    if planned and changed is not None:
        raise HubError(
            f"Files in {environment.name} have changed since {planned.staged_path} was made of it: "
            f"{', '.join(changed[:MOST_FILES]) or 'some were removed'}.",
            "Run the upgrade again, for a new one that has the change. Move what always changes elsewhere.",
        )
    return found


def described(jupyterhub: str | None, python_version: str | None) -> str:
    """The description of an environment, kept or not, for messages."""
    return f"JupyterHub {jupyterhub}, Python {python_version}"
