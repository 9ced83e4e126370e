"""The manifest of a recovery point: what the old state is, and how the rest of the point is proven.

docs/recovery-point.md has every field. The manifest is written last, so that a folder without it is no
recovery point.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ..databases.facts import DatabaseBackup
from ..deployment.model import Deployment, of_format_1
from ..environments.kept import KeptEnvironment
from ..errors import HubError
from ..shapes import from_dict, to_dict
from ..system import files

FORMAT = 2
ANOTHER_VERSION = "Use the collection's version that made it."
MANIFEST = "manifest.json"
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class KeptFile:
    """The copy of a file, and where it belongs."""

    path: str
    file: str
    sha256: str
    mode: str
    owner: int
    group: int


@dataclass(frozen=True)
class KeptHome:
    """A folder of users' files, packed."""

    path: str
    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a recovery point is; docs/recovery-point.md says what each field means."""

    format: int
    id: str
    created: str
    purpose: str
    run: dict[str, str]
    from_version: str
    to_version: str
    deployment: Deployment
    environments: tuple[KeptEnvironment, ...]
    files: tuple[KeptFile, ...]
    homes: tuple[KeptHome, ...]
    database: DatabaseBackup
    written: float = 0.0


def new_id(folder: Path, from_version: str, to_version: str, now: datetime) -> str:
    """A name that sorts by age and says what it leads back from: ``20261120T211500Z-4.1.6-6.1.1``.

    ``now`` is in UTC. The name comes after all that are in ``folder``, also where two recovery points are
    made within a second, or the clock was set back since the last one.
    """
    made = [made_at(point) for point in folder.glob("*/")]
    earliest = max((at + timedelta(seconds=1) for at in made if at), default=now)
    stamp = max(now, earliest).strftime(_STAMP)
    return "-".join(part for part in (stamp, from_version, to_version) if part)


def made_at(point: Path) -> datetime | None:
    """When a recovery point was made, in UTC and by its name; None where that does not tell."""
    try:
        return datetime.strptime(point.name[:16], _STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def listed(folder: Path) -> list[Path]:
    """The complete recovery points below ``folder``, oldest first."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def read(point: Path, name: str = MANIFEST) -> Manifest:
    """The manifest of ``point``. Raises HubError where there is none or it cannot be read."""
    try:
        found = json.loads((point / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HubError(
            f"{point} is not a recovery point: it has no {name}.", "It was never completed."
        ) from None
    except (OSError, ValueError) as error:
        raise HubError(
            f"The manifest of {point} cannot be read: {error}.",
            "It was not used. Name another recovery point.",
        ) from error
    if found.get("format") not in (1, FORMAT):
        raise HubError(
            f"{point} has format {found.get('format')}, this collection knows {FORMAT}.", ANOTHER_VERSION
        )
    if found.pop("sha256", None) not in (None, _sha256(found)):
        raise HubError(f"The manifest of {point} has changed since it was written.", "It was not used.")
    if found["format"] == 1:
        found.update(_of_format_1(found))
    try:
        return from_dict(Manifest, found)
    except HubError as error:
        raise HubError(f"The manifest of {point} cannot be read: {error.message}", ANOTHER_VERSION) from error


def _of_format_1(found: dict[str, Any]) -> dict[str, Any]:
    """What is otherwise in today's format."""
    database, deployment = dict(found["database"]), of_format_1(found["deployment"])
    particulars = {name: database.pop(name, None) for name in ("mode", "owner", "group", "source")}
    environments = [deployment["hub_environment"], *deployment["user_environments"]]
    kinds = {each["path"]: each["kind"] for each in environments}
    return {
        "format": FORMAT,
        "deployment": deployment,
        "environments": [{**each, "kind": kinds.get(each.get("path"))} for each in found["environments"]],
        "database": {**database, "name": database.get("path"), "particulars": particulars},
    }


def write(point: Path, manifest: Manifest) -> None:
    """Write the manifest, durably; this is what makes the folder a recovery point."""
    written = to_dict(replace(manifest, written=time.time()))
    proven = {**written, "sha256": _sha256(written)}
    files.write(point / MANIFEST, json.dumps(proven, indent=2, sort_keys=True).encode(), mode=0o600)


def _sha256(manifest: dict[str, Any]) -> str:
    """Over everything in the manifest but this itself."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def damage(point: Path, manifest: Manifest, homes: bool = True) -> list[str]:
    """What of the kept files is missing or not as the manifest says; empty where all is well.

    Users' ``homes`` can be large, and no restore needs them.
    """
    kept = [
        *((each.file, each.sha256) for each in manifest.files),
        *((each.file, each.sha256) for each in (manifest.homes if homes else ())),
        (manifest.database.file, manifest.database.sha256),
        *((each.packages_file, each.packages_sha256) for each in manifest.environments),
    ]
    wrong = []
    for file, sha256 in kept:
        try:
            changed = files.sha256(point / file) != sha256
        except FileNotFoundError:
            wrong.append(f"{file} is missing")
        except OSError as error:
            wrong.append(f"{file} cannot be read: {error.strerror}")
        else:
            wrong += [f"{file} has changed since it was written"] if changed else []
    return wrong
