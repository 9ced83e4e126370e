"""Users' data and the hub's database in the new site, compared with their backups."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import IO
from urllib.parse import quote

from ...errors import HubError
from ...planning.findings.finding import listing
from ...system import files
from .. import backups, objects
from ..record import Redeployment
from ..versions import gets_keycloak
from ..volume import volume_at
from .base import Result, Step, Work

#: From 0.4 on all users' files belong to them.
OWNER = (1000, 100)
#: Rows that no start of the new hub removes; its own are others.
KEPT_TABLES = ("users", "groups", "dashboards")
RESTORE_IT = "Restore it as QHub's guide to manual backups says, and run again: nothing was changed now."


class Restore(Step):
    """Compares what was restored: every file of the tar, and the rows that have to be there."""

    name = "restore"
    title = "Compare what was restored with the backups"

    def carry_out(self, work: Work) -> Result:
        site, record = work.site, work.record
        if not site.restored_data or not site.restored_database:
            raise HubError(
                "It is not said where restored data is: qhub_restored_data, qhub_restored_database.",
                "Run the playbook qhub_restore, which restores both through the cluster. Or restore them "
                "yourself, and name the folder where the new site's shared volume is mounted here, and a "
                "copy of its hub's jupyterhub.sqlite.",
            )
        known = record.evidence("back_up")
        for name in ("user_data", "hub_database"):
            if objects.is_object(known[name]):
                raise HubError(
                    f"The backup {known[name]} is at S3: what was restored cannot be compared with it there.",
                    f"Fetch it, and name the file: qhub_{name}_backup. The step back_up verifies it again.",
                )
            backups.require_complete(known[name])
            if files.sha256(Path(known[name])) != known[f"{name}_sha256"]:
                raise HubError(
                    f"The backup {known[name]} has changed since it was verified.",
                    "What was restored cannot be compared with it: find the one that was verified.",
                )
        moved = gets_keycloak(record.from_version, record.to_version)
        compared = _compare_files(Path(known["user_data"]), Path(site.restored_data), moved, record)
        users = _compare_database(Path(known["hub_database"]), Path(site.restored_database))
        return Result({"files": str(compared), "users_in_database": str(users), "folder": site.restored_data})


def new_place(name: str, moved: bool) -> str:
    """Where a file of the tar has to be; 0.4 has ``shared`` beside ``home``, and no longer within it."""
    name = os.path.normpath(name)
    return name[len("home/") :] if moved and (f"{name}/").startswith("home/shared/") else name


def _compare_files(backup: Path, restored: Path, moved: bool, record: Redeployment) -> int:
    """The number of files that are there as the tar has them. Raises HubError with those that are not."""
    volume = volume_at(restored)
    missing, other, owned = [], [], []
    number = 0
    with tarfile.open(backup) as archive:
        for member in archive:
            place = new_place(member.name, moved)
            if member.isfile():
                number += 1
                found = volume.checksum(place)
                if not found:
                    missing.append(place)
                    continue
                source = archive.extractfile(member)
                if source and _checksum(source) != found:
                    other.append(place)
            owner = volume.owner(place) if moved and place.startswith(("home/", "shared/")) else None
            if owner not in (None, OWNER):
                owned.append(place)
    problems = [
        *([f"{len(missing)} files are missing: {listing(missing)}"] if missing else []),
        *([f"{len(other)} files have another content: {listing(other)}"] if other else []),
        *([f"{len(owned)} do not belong to {OWNER[0]}:{OWNER[1]}: {listing(owned)}"] if owned else []),
    ]
    if moved and volume.owner("home/shared"):
        problems.append(f"home/shared is still there, and QHub {record.to_version} has shared beside home")
    if problems:
        raise HubError(f"{restored} is not what the backup {backup} has: {'; '.join(problems)}.", RESTORE_IT)
    return number


def _checksum(source: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: source.read(files.CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _compare_database(backup: Path, restored: Path) -> int:
    """The number of users of the backup, who are all in the restored one."""
    before, after = backups.table_rows(backup), backups.table_rows(restored)
    lost = [name for name in KEPT_TABLES if after.get(name, 0) < before.get(name, 0)]
    names = users_of(backup)
    gone = sorted(names - (users_of(restored) if "users" in after else set()))
    problems = [
        *([f"users are missing: {listing(gone)}"] if gone else []),
        *([f"rows are missing in {', '.join(lost)}"] if lost else []),
    ]
    if problems:
        raise HubError(f"{restored} is not what the backup {backup} has: {'; '.join(problems)}.", RESTORE_IT)
    return len(names)


def users_of(path: Path) -> set[str]:
    """The names of the users of a hub's SQLite database."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as database:
        return {name for (name,) in database.execute("SELECT name FROM users")}
