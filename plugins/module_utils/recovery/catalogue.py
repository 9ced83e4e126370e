"""The recovery points of a host: listed, one chosen, and compared with what the hub is now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..databases.base import NOTHING
from ..errors import HubError
from ..system import state
from . import kept_database, kept_environments, kept_files, recovery_point
from . import manifest as manifests
from .recovery_point import Difference


@dataclass(frozen=True)
class ListedPoint:
    """A recovery point; RETURN of ``recovery_point_info`` says what each field means.

    What its manifest says is None where that cannot be read.
    """

    id: str
    path: str
    deployment: str
    purpose: str | None
    created: str | None
    from_version: str | None
    to_version: str | None
    run: dict[str, str] | None
    sealed: bool | None
    bytes: int
    problem: str


@dataclass(frozen=True)
class Comparison:
    """What differs from a recovery point; RETURN of ``recovery_point_info`` says what each field means."""

    environments: tuple[Difference, ...]
    database: Difference | None
    files: tuple[Difference, ...]
    since: dict[str, Any]
    equal: bool
    lost: bool
    problem: str


def listed(base: str | None, service: str = "") -> list[ListedPoint]:
    """Every recovery point of the host below ``base``, newest first; ``service`` names one hub.

    Found by the folders alone: a hub that is too broken to be found can still be rolled back.
    """
    points = [point for folder in folders(base, service) for point in listed_in(folder)]
    return sorted(points, key=lambda point: point.id, reverse=True)


def listed_in(folder: Path) -> list[ListedPoint]:
    """The recovery points of one state folder, newest first."""
    points = manifests.listed(state.recovery_folder(folder))
    return [_described(point) for point in sorted(points, key=lambda point: point.name, reverse=True)]


def folders(base: str | None, service: str = "") -> list[Path]:
    """The state folders below ``base``, or that of the one hub whose ``service`` is named."""
    name = service.rpartition(":")[2]
    name = name[: -len(".service")] if name.endswith(".service") else name
    return [folder for folder in state.state_folders(base) if name in ("", folder.name)]


def choose(points: list[ListedPoint], wanted: str = "") -> ListedPoint:
    """The recovery point of that id (or path), or the newest that leads to another state than the present.

    Another state: another environment of the hub, another database, or another revision of it. So a rollback
    takes back the last upgrade, move or rollback, whatever backups were made since.

    Raises HubError when there is none, or several hubs have some.
    """
    if wanted:
        found = [point for point in points if wanted.rstrip("/") in (point.id, point.path)]
        if not found:
            ids = ", ".join(point.id for point in points) or "none"
            raise HubError(f"There is no recovery point {wanted} on this host.", f"There are: {ids}.")
    else:
        found = points
    hubs = sorted({point.deployment for point in found})
    if len(hubs) > 1:
        raise HubError(
            f"There are recovery points of several hubs on this host: {', '.join(hubs)}.",
            "Say which hub: jupyterhub_service in the inventory.",
        )
    for point in found:
        if wanted or _leads_elsewhere(Path(point.path)):
            return point
    if not points:
        raise HubError("There is no recovery point on this host.", "Compare jupyterhub_state_folder.")
    raise HubError(
        f"The hub is in the state of all its {len(points)} recovery points: no upgrade can be taken back.",
        "To go back in time within this state, name one: jupyterhub_recovery_point.",
    )


def compare(point: Path) -> Comparison:
    """What differs on the host from a recovery point, and what was written since it was made.

    Raises HubError when the point is damaged or an environment that it needs is gone.
    """
    manifest = recovery_point.verify(point, environments=True)
    kept_environments.require(manifest)
    database = kept_database.of_manifest(point, manifest)
    found = recovery_point.differences(point, manifest, afresh=True)
    different = {each.path: each for each in found}
    environments = [entry.path for entry in manifest.environments]
    lost, written, problem = False, NOTHING.described(), ""
    if database.name in different and database.exists():
        try:
            since = database.since(point, manifest.database)
            lost, written = since.lost, since.described()
        except HubError as error:
            lost, problem = True, str(error)
        difference = different[database.name]
        if difference.now == difference.then and not written["tables"] and not problem:
            del different[database.name]  # nothing but times of activity
    elsewhere = kept_files.other_database(point, manifest)
    if elsewhere:
        lost = True
        problem = f"The hub has another database now, {elsewhere}, which keeps it; the restored hub has not."
    return Comparison(
        environments=tuple(different[path] for path in environments if path in different),
        database=different.get(database.name),
        files=tuple(each for each in different.values() if each.path not in [*environments, database.name]),
        since=written,
        equal=not different,
        lost=lost,
        problem=problem,
    )


def _described(point: Path) -> ListedPoint:
    manifest = None
    try:
        manifest = manifests.read(point)
        gone = [
            entry.path
            for entry in kept_environments.required(manifest)
            if kept_environments.state_of(entry) == kept_environments.GONE
        ]
        problem = f"The environment of {', '.join(gone)} is gone." if gone else ""
    except HubError as error:
        problem = str(error)
    return ListedPoint(
        id=point.name,
        path=str(point),
        deployment=recovery_point.state_folder_of(point).name,
        purpose=manifest.purpose if manifest else None,
        created=manifest.created if manifest else None,
        from_version=manifest.from_version if manifest else None,
        to_version=manifest.to_version if manifest else None,
        run=manifest.run if manifest else None,
        sealed=manifest.database.sealed if manifest else None,
        bytes=sum(path.lstat().st_size for path in point.rglob("*") if not path.is_dir()),
        problem=problem,
    )


def _leads_elsewhere(point: Path) -> bool:
    """Whether a restore would change the hub; a point that cannot be read might."""
    try:
        manifest = manifests.read(point)
    except HubError:
        return True
    hub = [entry for entry in manifest.environments if entry.path == manifest.deployment.hub_environment.path]
    revision = kept_database.revision_now(kept_database.of_manifest(point, manifest), manifest.database)
    elsewhere = any(kept_environments.state_of(entry) != kept_environments.HERE for entry in hub)
    moved = bool(kept_files.other_database(point, manifest))
    return elsewhere or moved or revision != manifest.database.revision
