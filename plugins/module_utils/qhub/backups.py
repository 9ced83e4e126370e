"""The backups of a site: read, not believed. A tar of the shared volume, and the hub's SQLite database."""

from __future__ import annotations

import sqlite3
import tarfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import HubError
from ..system import files
from . import objects
from .site import Backup, Site

#: Checksums of the files beside it, as `sha256sum` writes them.
SUMS = "SHA256SUMS"
#: Files of `qhub_backup`, and the mark beside them while some of them are new and others are not.
MADE = ("home.tar", "jupyterhub.sqlite")
INCOMPLETE = "INCOMPLETE"
MAKE_IT = "Make it again as QHub's guide to manual backups says, and name the new file."


@dataclass(frozen=True)
class Verified:
    """A backup that was read from its beginning to its end."""

    path: str
    sha256: str
    content: str
    """What is in it, for people."""


def look(site: Site) -> dict[str, Backup]:
    """The backups that are named, there, and new enough. Raises HubError for the first that is not."""
    named = {"user_data": site.user_data, "hub_database": site.hub_database}
    missing = [f"qhub_{name}_backup" for name, backup in named.items() if backup is None]
    if missing:
        raise HubError(
            f"No backup is named: {' and '.join(missing)}.",
            "Run the playbook qhub_backup and name its folder: qhub_backups. Or back up the shared volume as "
            "a tar and the hub's jupyterhub.sqlite, and name the files.",
        )
    found = {name: backup for name, backup in named.items() if backup}
    if objects.is_object(found["hub_database"].path):
        raise HubError(
            f"The backup {found['hub_database'].path} is at S3, where nobody sees what is in it.",
            "The database is small: name a file of this host as qhub_hub_database_backup.",
        )
    for backup in found.values():
        require_complete(backup.path)
        age = time.time() - _modified(backup)
        if age > site.backup_max_age:
            raise HubError(
                f"The backup {backup.path} is {hours(age)} old, and qhub_backup_max_age allows "
                f"{hours(site.backup_max_age)}.",
                f"What users have written since would be lost. {MAKE_IT}",
            )
    return found


def verify_all(site: Site) -> dict[str, Verified]:
    """Read both backups to their ends. Raises HubError for one that is missing, changed, broken or old."""
    readers = {"user_data": _tar_content, "hub_database": _database_content}
    return {name: _verify(backup, readers[name]) for name, backup in look(site).items()}


def require_complete(path: str) -> None:
    """Raises HubError for a file of a run of `qhub_backup` that was cut off."""
    if objects.is_object(path):
        return
    file = Path(path)
    cut_off = not file.exists() and file.with_name(f"{file.name}.part").exists()
    if cut_off or (file.name in MADE and file.with_name(INCOMPLETE).exists()):
        raise HubError(
            f"The backup {path} is incomplete: the run of qhub_backup that made it was cut off, or goes on.",
            "Run the playbook qhub_backup to its end. It makes the backup again.",
        )


def _modified(backup: Backup) -> float:
    """When it was written last, in seconds since the epoch."""
    if objects.is_object(backup.path):
        return objects.look(backup.path).modified
    try:
        return Path(backup.path).stat().st_mtime
    except OSError as error:
        raise unreadable(backup, error) from error


def _verify_object(backup: Backup) -> Verified:
    """Hold size and checksum of an object against what was noted when the backup was made."""
    if not backup.size or not backup.sha256:
        raise HubError(
            f"Nothing is noted that the backup {backup.path} could be held against.",
            "Note its size and sha256 when it is made: qhub_user_data_backup: {path, size, sha256}.",
        )
    found = objects.look(backup.path)
    problems = [
        *([f"{found.size} bytes, not {backup.size}"] if found.size != backup.size else []),
        *([f"the checksum {found.checksum}, not {backup.sha256}"] if not found.has(backup.sha256) else []),
    ]
    if problems:
        raise HubError(f"The backup {backup.path} has {' and '.join(problems)}.", MAKE_IT)
    return Verified(backup.path, backup.sha256, f"{found.size} bytes at S3")


def _verify(backup: Backup, content: Callable[[Path], str]) -> Verified:
    """Read one backup; ``content`` reads what is in it."""
    if objects.is_object(backup.path):
        return _verify_object(backup)
    path = Path(backup.path)
    try:
        checksum = files.sha256(path)
    except OSError as error:
        raise unreadable(backup, error) from error
    noted = backup.sha256 or _noted(path)
    if noted and noted.lower() != checksum:
        raise HubError(
            f"The backup {path} has the checksum {checksum}, not {noted}: it has changed since it was made.",
            MAKE_IT,
        )
    return Verified(str(path), checksum, content(path))


def _noted(path: Path) -> str:
    """Its checksum in ``SHA256SUMS`` beside it, as `sha256sum` writes that; empty where there is none."""
    try:
        lines = path.with_name(SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    noted = {name: total for total, _mark, name in (line.partition("  ") for line in lines)}
    return noted.get(path.name, "")


def unreadable(backup: Backup, error: OSError) -> HubError:
    return HubError(f"The backup {backup.path} cannot be read: {error.strerror}.", MAKE_IT)


def hours(seconds: float) -> str:
    """``25.0 h``."""
    return f"{seconds / 3600:.1f} h"


def _tar_content(path: Path) -> str:
    """Reads each member of a tar to its end."""
    number = size = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    source = archive.extractfile(member)
                    while source and source.read(files.CHUNK):
                        pass
                    number, size = number + 1, size + member.size
            # Where a copy was cut off between two members, nothing but the missing end shows it.
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.TarError("its end is missing")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise HubError(
            f"The backup {path} is no whole tar: {str(error).splitlines()[0]}.", MAKE_IT
        ) from error
    if not number:
        raise HubError(f"The backup {path} has no file in it.", MAKE_IT)
    return f"{number} files, {size} bytes"


def _database_content(path: Path) -> str:
    """Has SQLite check the whole database, and counts the users."""
    rows = table_rows(path)
    if "users" not in rows:
        raise HubError(f"The backup {path} is no database of JupyterHub: it has no table of users.", MAKE_IT)
    return f"{rows['users']} users in {len(rows)} tables"


def table_rows(path: Path) -> dict[str, int]:
    """The number of rows of each table of an intact SQLite database; nothing is written beside it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as database:
            [verdict] = database.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            names = [
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            return {
                name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in sorted(names)
            }
    except sqlite3.Error as error:
        raise HubError(f"{path} is no intact SQLite database: {error}.", MAKE_IT) from error
