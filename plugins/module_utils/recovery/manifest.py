"""The manifest of a recovery point: what the old state is, and how the rest of the point is proven.

docs/recovery-point.md has every field. The manifest is written last, so that a folder without it is no
recovery point.
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..system import files

FORMAT = 1
MANIFEST = "manifest.json"
_STAMP = "%Y%m%dT%H%M%SZ"


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


def read(point: Path) -> dict[str, Any]:
    """The manifest of ``point``. Raises HubError where there is none or it cannot be read."""
    try:
        manifest = json.loads((point / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HubError(
            f"{point} is not a recovery point: it has no {MANIFEST}.", "It was never completed."
        ) from None
    except (OSError, ValueError) as error:
        raise HubError(f"The manifest of {point} cannot be read: {error}.", "") from error
    if manifest.get("format") != FORMAT:
        raise HubError(
            f"{point} has format {manifest.get('format')}, this collection knows {FORMAT}.",
            "Use the collection's version that made it.",
        )
    if manifest.pop("sha256", None) not in (None, _sha256(manifest)):
        raise HubError(f"The manifest of {point} has changed since it was written.", "It was not used.")
    return dict(manifest)


def write(point: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, durably; this is what makes the folder a recovery point."""
    manifest["written"] = time.time()
    proven = {**manifest, "sha256": _sha256(manifest)}
    files.write(point / MANIFEST, json.dumps(proven, indent=2, sort_keys=True).encode(), mode=0o600)


def _sha256(manifest: dict[str, Any]) -> str:
    """Over everything in the manifest but this itself."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def damage(point: Path, manifest: dict[str, Any], homes: bool = True) -> list[str]:
    """What of the kept files is missing or not as the manifest says; empty where all is well.

    People's ``homes`` can be large, and no restore needs them.
    """
    kept = [*manifest["files"], *(manifest["homes"] if homes else []), manifest["database"]]
    kept += [
        {"file": entry["packages_file"], "sha256": entry["packages_sha256"]}
        for entry in manifest["environments"]
    ]
    wrong = []
    for entry in kept:
        path = point / entry["file"]
        try:
            changed = files.sha256(path) != entry["sha256"]
        except FileNotFoundError:
            wrong.append(f"{entry['file']} is missing")
        except OSError as error:
            wrong.append(f"{entry['file']} cannot be read: {error.strerror}")
        else:
            wrong += [f"{entry['file']} has changed since it was written"] if changed else []
    return wrong
