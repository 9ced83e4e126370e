"""A recovery point: a folder that says what the old state is and holds what is needed to be there again.

    <state folder>/recovery/<id>/
        manifest.json          written last: a folder without it is no recovery point
        database.sqlite        or sealed.sqlite, once the hub has stopped
        files/<absolute path>  config and what it includes, unit, environment files, secrets
        environments/<n>.txt   every package of each environment, as ``name==version``
        homes/<n>.tar.gz       when asked for
        replaced/              what a restore has taken out of the way; nothing is destroyed

The manifest:

    format: 1
    id, created (ISO 8601, UTC), from_version, to_version
    deployment: the deployment as it was found
    environments: [{path, aside, staged_path, python_version, jupyterhub, packages_file, switched}]
    database: {path, kind, file, sha256, bytes, rows, revision, sealed, source}
    files: [{path, file, sha256, mode, owner, group}]
    homes: [{path, file, sha256, bytes}]

``database.sealed`` tells whether the copy was made after the hub had stopped. Only a sealed copy may ever
replace the database: until then the database itself is the newest and best one. ``database.source`` has the
SHA-256 of the stopped database's own file, by which a restore sees whether there is anything to put back.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable

from . import files, logs, room, sqlite, state, switching, trials
from .environment import all_packages
from .errors import HubError
from .manifest import FORMAT, MANIFEST, damage, listed, read, write
from .outage import start, stop
from .service import service_of

#: The copies made while the hub serves and after it has stopped; never both are of use.
DATABASES = ("database.sqlite", "sealed.sqlite")


def new_id(from_version: str, to_version: str) -> str:
    """A name that sorts by age and says what it leads back from: ``20261120T211500Z-4.1.6-6.1.1``."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return "-".join(part for part in (stamp, from_version, to_version) if part)


def create(
    deployment: dict[str, Any],
    plan: dict[str, Any],
    base: str | None,
    homes: Iterable[str],
    lock_timeout: float,
) -> Path:
    """Make a recovery point of a hub that serves, and return its folder.

    ``plan`` may be empty (a backup without an upgrade). ``lock_timeout`` is in seconds. On any failure the
    half-made folder is removed.
    """
    folder = state.recovery_folder(state.state_folder(deployment, base))
    from_version, to_version = (
        str(deployment["hub_environment"]["jupyterhub"]),
        str(plan.get("to_version", "")),
    )
    point = folder / new_id(from_version, to_version)
    state.make_private(point)
    try:
        manifest = {
            "format": FORMAT,
            "id": point.name,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "from_version": from_version,
            "to_version": to_version,
            "deployment": deployment,
            "environments": _keep_package_lists(point, deployment, plan),
            "files": [_keep_file(point, path) for path in _files_of(deployment)],
            "homes": [_keep_home(point, number, Path(home)) for number, home in enumerate(homes)],
            "database": _keep_database(point, deployment, lock_timeout),
        }
        write(point, manifest)
    except (OSError, HubError) as error:
        shutil.rmtree(point, ignore_errors=True)
        if isinstance(error, HubError):
            raise
        raise HubError(
            f"The recovery point {point} could not be written: {error.strerror or error}.",
            "Make room, or name another place in jupyterhub_state_folder.",
        ) from error
    return point


def seal(point: Path, lock_timeout: float) -> dict[str, Any]:
    """Take the database once more, now that the hub has stopped; returns the manifest's ``database``.

    The earlier copy stays until the manifest names the new one: the point is whole at any moment.
    """
    manifest = read(point)
    database = manifest["database"]
    source, earlier = Path(database["path"]), point / database["file"]
    name = next(name for name in DATABASES if name != database["file"])
    database.update(_copied(point / name, source, lock_timeout))
    database.update(sealed=True, source=_fingerprint(source))
    write(point, manifest)
    earlier.unlink()
    return dict(database)


def verify(point: Path) -> dict[str, Any]:
    """Compare everything in ``point`` with its manifest, and return that.

    Raises HubError that lists all that is wrong.
    """
    manifest = read(point)
    wrong = damage(point, manifest)
    if wrong:
        raise HubError(f"The recovery point {point} is damaged: {'; '.join(wrong)}.", "It was not used.")
    return manifest


def trial(point: Path) -> None:
    """Try the way back while the hub serves: checksums, the kept database, the old environments.

    Nothing is touched and nothing is left. Raises HubError that lists all that is wrong.
    """
    manifest = verify(point)
    wrong = trials.try_database(point, manifest)
    if not wrong:
        standing = {entry["path"]: Path(entry["path"]) for entry in _planned(manifest)}
        wrong = trials.try_environments(manifest, point / manifest["database"]["file"], standing)
    if wrong:
        raise HubError(f"The way back to {point} does not work: {'; '.join(wrong)}.", "Nothing was touched.")


def reserve(point: Path) -> None:
    """Take the room that a restore needs. May be called again. Raises HubError when there is none."""
    room.reserve(read(point)["database"])


def release_reserve(point: Path) -> None:
    """Give up the room that `reserve` has taken, if any."""
    room.release(read(point)["database"])


def restore(point: Path, timeout: float, log_mark: str = "") -> dict[str, Any]:
    """Make the host equal to ``point``, and have the old hub serve.

    Safe to call from any half-way state, again and again. ``timeout`` is what stopping and starting may take,
    in seconds each. What the hub has logged since ``log_mark`` is kept with what is replaced. Returns what
    was restored, whether anything was changed, and when the hub answered.
    """
    manifest = verify(point)
    deployment = manifest["deployment"]
    base = str(point.parents[2])  # <base>/<deployment name>/recovery/<id>
    different = differences(point, manifest)
    if different:
        aside = point / "replaced" / datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        stop(deployment, base, f"restoring {point.name}", timeout)
        if log_mark:
            _keep_log(deployment, log_mark, aside)
        put_back(point, manifest, aside)
    room.release(manifest["database"])
    started = start(deployment, base, manifest["from_version"], timeout)
    return {
        "restored": different,
        "changed": bool(different) or started.changed,
        "answered_at": started.answered_at,
        "version": started.version,
    }


def differences(point: Path, manifest: dict[str, Any]) -> list[str]:
    """What on the host is not as the recovery point says: paths of environments, database and files."""
    different = [entry["path"] for entry in _planned(manifest) if switching.switched([entry])]
    if _database_differs(manifest["database"]):
        different.append(manifest["database"]["path"])
    return different + [entry["path"] for entry in manifest["files"] if _file_differs(entry)]


def put_back(point: Path, manifest: dict[str, Any], aside: Path) -> None:
    """Put back whatever differs, and set aside what stood there; the hub must be stopped."""
    switching.switch_back(_planned(manifest))
    database = manifest["database"]
    if _database_differs(database):
        room.release(database)
        sqlite.place(point / database["file"], Path(database["path"]), aside)
    for entry in manifest["files"]:
        if _file_differs(entry):
            _put_file_back(point, entry, aside)


def _keep_log(deployment: dict[str, Any], mark: str, aside: Path) -> None:
    """Keep what the hub has logged since ``mark``, without secrets."""
    lines = [f"{logs.scrub(line)}\n" for line in service_of(deployment).log_since(mark)]
    state.make_private(aside)
    files.write(aside / "hub.log", "".join(lines).encode())


def _planned(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The environments that the run meant to exchange."""
    return [entry for entry in manifest["environments"] if entry["planned"]]


def _database_differs(database: dict[str, Any]) -> bool:
    """Whether the database is neither the one that was sealed nor its copy; False where none was sealed."""
    same = (database["source"], {"file": database["sha256"]})
    return bool(database["sealed"]) and _fingerprint(Path(database["path"])) not in same


def surplus(folder: Path, keep: int) -> list[Path]:
    """All complete recovery points but the newest ``keep``, oldest first."""
    points = listed(folder)
    return points[: max(len(points) - keep, 0)]


def prune(folder: Path, keep: int) -> list[Path]:
    """Remove the `surplus`, and the old environments that belong to it; return what was removed."""
    removed = surplus(folder, keep)
    for point in removed:
        for entry in read(point)["environments"]:
            aside = Path(entry["aside"])
            if aside.is_symlink():
                aside.unlink()  # where it leads was the administrator's before it was ours
            else:
                shutil.rmtree(aside, ignore_errors=True)
        (point / MANIFEST).unlink()
        shutil.rmtree(point, ignore_errors=True)
    return removed


def _files_of(deployment: dict[str, Any]) -> list[Path]:
    """Every file without which the old hub would not be the old hub, each once."""
    service = deployment["service"]
    named = [*deployment["config"]["files"], *deployment["secrets"]["files"], *service["environment_files"]]
    named += [service["unit_file"]] if service["unit_file"] else []
    return sorted({Path(name) for name in named if Path(name).is_file()})


def _keep_file(point: Path, path: Path) -> dict[str, Any]:
    """Copy one file into the point, and say what it is."""
    kept = point / "files" / path.relative_to("/")
    state.make_private(kept.parent)
    files.write(kept, path.read_bytes(), mode=0o600)
    facts = path.stat()
    return {
        "path": str(path),
        "file": str(kept.relative_to(point)),
        "sha256": files.sha256(kept),
        "mode": f"{facts.st_mode & 0o7777:04o}",
        "owner": facts.st_uid,
        "group": facts.st_gid,
    }


def _file_differs(entry: dict[str, Any]) -> bool:
    """Whether the file on the host has another content, mode or owner than the kept one."""
    path = Path(entry["path"])
    if not path.is_file():
        return True
    same_content = files.sha256(path) == entry["sha256"]
    return not (same_content and files.is_owned(path, *_ownership(entry)))


def _ownership(entry: dict[str, Any]) -> tuple[tuple[int, int], int]:
    """User and group number, and mode, of a kept file."""
    return (entry["owner"], entry["group"]), int(entry["mode"], 8)


def _put_file_back(point: Path, entry: dict[str, Any], aside: Path) -> None:
    """Put a kept file in its place, atomically; the one that stood there is set aside."""
    path = Path(entry["path"])
    if path.exists():
        set_aside = aside / path.relative_to("/")
        state.make_private(set_aside.parent)
        shutil.copy2(path, set_aside)
    files.write(path, (point / entry["file"]).read_bytes())
    files.own(path, *_ownership(entry))


def _keep_package_lists(
    point: Path, deployment: dict[str, Any], plan: dict[str, Any]
) -> list[dict[str, Any]]:
    """Write each environment's packages, and say where the old environment will be after the switch."""
    planned = {entry["path"]: entry for entry in plan.get("environments", [])}
    kept = []
    state.make_private(point / "environments")
    for number, found in enumerate([deployment["hub_environment"], *deployment["user_environments"]]):
        name = f"environments/{number}.txt"
        lines = [f"{name}=={version}\n" for name, version in sorted(all_packages(found["path"]).items())]
        files.write(point / name, "".join(lines).encode(), mode=0o600)
        kept.append(
            {
                **planned.get(found["path"], {}),
                "path": found["path"],
                "aside": switching.aside_path(found["path"], point.name),
                "python_version": found["python_version"],
                "jupyterhub": found["jupyterhub"],
                "packages_file": name,
                "packages_sha256": files.sha256(point / name),
                "planned": found["path"] in planned,
            }
        )
    return kept


def _keep_home(point: Path, number: int, home: Path) -> dict[str, Any]:
    """Pack one folder of people's files."""
    kept = point / "homes" / f"{number}.tar.gz"
    state.make_private(kept.parent)
    with tarfile.open(kept, "w:gz") as archive:
        archive.add(home, arcname=home.name)
    kept.chmod(0o600)
    return {
        "path": str(home),
        "file": str(kept.relative_to(point)),
        "sha256": files.sha256(kept),
        "bytes": kept.stat().st_size,
    }


def _keep_database(point: Path, deployment: dict[str, Any], lock_timeout: float) -> dict[str, Any]:
    """Copy the database while the hub writes to it."""
    found = deployment["database"]
    source = Path(found["path"])
    copied = _copied(point / DATABASES[0], source, lock_timeout)
    return {"path": str(source), "kind": found["kind"], "sealed": False, "source": None, **copied}


def _copied(copy_path: Path, source: Path, lock_timeout: float) -> dict[str, Any]:
    """Copy ``source``; what the manifest says of the copy."""
    copy = sqlite.backup(source, copy_path, timeout=lock_timeout)
    return {
        "file": copy_path.name,
        "sha256": copy.sha256,
        "bytes": copy.bytes,
        "rows": copy.rows,
        "revision": copy.revision,
    }


def _fingerprint(database: Path) -> dict[str, Any] | None:
    """What a stopped SQLite database is on disk: the SHA-256 of its file and of what lies beside it."""
    real = Path(os.path.realpath(database))
    if not real.is_file():
        return None
    parts = {"": real, **{suffix: Path(f"{real}{suffix}") for suffix in ("-wal", "-journal")}}
    return {suffix or "file": files.sha256(path) for suffix, path in parts.items() if path.is_file()}
