"""The files of a recovery point: config, secrets, units, and packed home folders."""

from __future__ import annotations

import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

from ..databases import urls
from ..deployment import config_file
from ..deployment.model import Deployment
from ..system import files, state
from .manifest import KeptFile, KeptHome, Manifest


def of_deployment(deployment: Deployment) -> list[Path]:
    """Every file without which the old hub would not be the old hub, each once."""
    service = deployment.service
    named = [*deployment.config.files, *deployment.secrets.files, *service.environment_files]
    named += [service.unit_file] if service.unit_file else []
    return sorted({Path(name) for name in named if Path(name).is_file()})


def keep(point: Path, path: Path) -> KeptFile:
    """Copy one file into the point, and describe it: an entry of the manifest's ``files``."""
    kept = point / "files" / path.relative_to("/")
    state.make_private(kept.parent)
    files.write(kept, path.read_bytes(), mode=0o600)
    facts = path.stat()
    return KeptFile(
        path=str(path),
        file=str(kept.relative_to(point)),
        sha256=files.sha256(kept),
        mode=f"{facts.st_mode & 0o7777:04o}",
        owner=facts.st_uid,
        group=facts.st_gid,
    )


def keep_home(point: Path, number: int, home: Path) -> KeptHome:
    """Pack one folder of users' files: an entry of the manifest's ``homes``."""
    kept = point / "homes" / f"{number}.tar.gz"
    state.make_private(kept.parent)
    with files.scratch(kept) as part:
        with tarfile.open(part, "w:gz") as archive:
            archive.add(home, arcname=home.name)
        files.rename(part, kept)
    return KeptHome(
        path=str(home),
        file=str(kept.relative_to(point)),
        sha256=files.sha256(kept),
        bytes=kept.stat().st_size,
    )


def described(entry: KeptFile) -> str:
    """The description of the kept file, for messages."""
    return f"sha256 {entry.sha256[:12]}, mode {entry.mode}, owner {entry.owner}:{entry.group}"


def described_on_host(entry: KeptFile) -> str:
    """The same of what stands on the host; equal where nothing differs."""
    path = Path(entry.path)
    if not path.is_file():
        return "missing"
    facts = path.stat()
    found = replace(
        entry,
        sha256=files.sha256(path),
        mode=f"{facts.st_mode & 0o7777:04o}",
        owner=facts.st_uid,
        group=facts.st_gid,
    )
    return described(found)


def other_database(point: Path, manifest: Manifest) -> str:
    """The database that the config names now, and the kept one does not; '' where both name the same."""
    for entry in manifest.files:
        if entry.path in manifest.deployment.config.files:
            now = config_file.value_in(Path(entry.path))
            if now != config_file.value_in(point / entry.file):
                return urls.mask(now) or "the default one"
    return ""


def restore(point: Path, entry: KeptFile, aside: Path) -> None:
    """Restore a kept file, atomically; the present file is set aside.

    A link stays, and the file it leads to is replaced.
    """
    path = Path(os.path.realpath(entry.path))
    if path.exists():
        set_aside = aside / path.relative_to("/")
        state.make_private(set_aside.parent)
        shutil.copy2(path, set_aside)
    with files.scratch(path) as part:
        part.write_bytes((point / entry.file).read_bytes())
        files.own(part, (entry.owner, entry.group), int(entry.mode, 8))
        files.rename(part, path)
