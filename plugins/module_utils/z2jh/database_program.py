"""Runs in the hub's own image, handed over as text: SQLite on the hub's volume, backed up and restored.

It imports nothing of this collection. ``argv[1]`` is a request in JSON, and the answer is one line of
JSON on standard output, with ``error`` where it failed. A Job's pod also writes it to its termination
message, ``HUBOPS_MESSAGE``, where the guard reads it.

Requests:
``{"do": "back-up", "database": path, "folder": path}``: a copy by SQLite's backup API while the hub
serves, checked and synced.
``{"do": "describe", "database": path}``: what the database holds, without a write.
``{"do": "restore", "database": path, "folder": path, "backup": the answer to back-up}``: only with the
hub at 0 pods.
``{"do": "remove", "folder": path}``: removes a copy.
``{"do": "send", "database": path, "folder": path}``: a copy as above on standard output, packed by gzip, and
nothing of it left in the folder.

What a restore puts back is the newest state that the old hub can use. A hub copies its SQLite file before
it migrates it (``jupyterhub.sqlite.<time>``, ``jupyterhub.dbutil``), which is what the old hub left when
it stopped: the first such copy since the backup, if it is whole and has the backup's schema. Where no hub
began to migrate, the database itself is what the old hub left. Otherwise it is the backup.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

COPY = "jupyterhub.sqlite"
REPLACED = "replaced.sqlite"
SIDECARS = ("-wal", "-shm", "-journal")
SPARE_BYTES = 1024 * 1024
#: Names of people that a description has at most.
NAMES = 10000


class Refused(Exception):
    """Why a request cannot be fulfilled."""


def main() -> int:
    try:
        request = json.loads(sys.argv[1])
        if request["do"] == "send":
            send(request["database"], request["folder"])
            return 0
        reply = answer(request)
    except (Refused, OSError, sqlite3.Error) as error:
        reply = {"error": f"{error}" if isinstance(error, Refused) else f"{type(error).__name__}: {error}"}
    line = json.dumps(reply)
    sys.stdout.write(f"{line}\n")
    message = os.environ.get("HUBOPS_MESSAGE")
    if not message:
        # kubectl exec shows no output of what fails.
        return 0
    Path(message).write_text(line[:4000], encoding="utf-8")
    return 1 if "error" in reply else 0


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "back-up":
        return back_up(request["database"], request["folder"])
    if request["do"] == "describe":
        return describe(request["database"], names=True)
    if request["do"] == "restore":
        return restore(request["database"], request["folder"], request["backup"])
    if request["do"] == "remove":
        shutil.rmtree(request["folder"], ignore_errors=True)
        return {}
    raise Refused(f"Unknown request {request['do']}.")


def back_up(database: str, folder: str) -> dict[str, Any]:
    """Copy a database that is in use into a new folder."""
    if not os.path.isfile(database):
        raise Refused(f"There is no database {database}.")
    require_space(os.path.dirname(database), os.path.getsize(database))
    began = time.time()
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    copy = os.path.join(folder, COPY)
    reader = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)
    with contextlib.closing(reader) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    os.chmod(copy, 0o600)
    sync(copy)
    sync(folder)
    return {**describe(copy), "sha256": sha256(copy), "bytes": os.path.getsize(copy), "began": began}


def send(database: str, folder: str) -> None:
    """Write a copy of a database that is in use to standard output; whoever reads it may go away."""
    try:
        back_up(database, folder)
        with Path(folder, COPY).open("rb") as copy, gzip.open(
            sys.stdout.buffer, "wb", compresslevel=1
        ) as out:
            shutil.copyfileobj(copy, out, 1024 * 1024)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def describe(database: str, names: bool = False) -> dict[str, Any]:
    """Alembic's revision, a hash of the schema, rows of each table, of a database that is whole."""
    if not os.path.isfile(database):
        raise Refused(f"There is no database {database}.")
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
        verdict = [line for (line,) in connection.execute("PRAGMA integrity_check(3)")]
        if verdict != ["ok"]:
            raise Refused(f"The database {database} is damaged: {'; '.join(verdict)}.")
        schema = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
        ).fetchall()
        rows = {}
        for kind, name, _sql in schema:
            if kind == "table":
                quoted = name.replace('"', '""')
                rows[name] = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]
        revision = None
        if rows.get("alembic_version"):
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        found = {
            "revision": revision,
            "schema": hashlib.sha256(json.dumps([revision, schema]).encode()).hexdigest(),
            "rows": rows,
        }
        if names and "users" in rows:
            found["users"] = [
                name for (name,) in connection.execute(f"SELECT name FROM users ORDER BY name LIMIT {NAMES}")
            ]
        return found


def restore(database: str, folder: str, backup: dict[str, Any]) -> dict[str, Any]:
    """Put the newest state of the database back that the old hub can use; may be repeated."""
    finish(database)
    copies = hub_copies(database, backup["began"])
    earliest = next((copy for copy in copies if usable(copy, backup)), None)
    if earliest:
        keep_present(database, folder)
        sync(earliest)
        os.replace(earliest, database)
        used = "the copy that the hub made before its migration"
    elif not copies and usable(database, backup):
        used = "the database as it is, which was not migrated"
    else:
        copy = os.path.join(folder, COPY)
        if not os.path.isfile(copy) or sha256(copy) != backup["sha256"]:
            raise Refused(f"The backup {copy} is not what it was.")
        if os.path.isfile(database) and sha256(database) == backup["sha256"]:
            used = "the backup, which is in place already"
        else:
            require_space(folder, os.path.getsize(copy))
            part = f"{database}.hubops-part"
            shutil.copyfile(copy, part)
            if os.path.exists(database):
                os.chmod(part, os.stat(database).st_mode & 0o777)
            sync(part)
            keep_present(database, folder)
            os.replace(part, database)
            used = "the backup"
    sync(os.path.dirname(database))
    return {"used": used, **{key: value for key, value in describe(database).items() if key != "schema"}}


def finish(database: str) -> None:
    """Have SQLite undo what a killed hub left half-written; who reads the database finds damage."""
    if os.path.isfile(database):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def hub_copies(database: str, since: float) -> list[str]:
    """Copies that hubs have made before migrations since then, the first one first."""
    folder, name = os.path.split(database)
    found = []
    for each in os.listdir(folder):
        path = os.path.join(folder, each)
        own = each.endswith(SIDECARS) or each.endswith(".hubops-part")
        if each.startswith(f"{name}.") and not own and os.path.isfile(path):
            made = os.stat(path).st_mtime
            if made >= since:
                found.append((made, path))
    return [path for _made, path in sorted(found)]


def usable(path: str, backup: dict[str, Any]) -> bool:
    """Whether a database is whole, and the old hub knows its schema."""
    try:
        return describe(path)["schema"] == backup["schema"]
    except (Refused, sqlite3.Error):
        return False


def keep_present(database: str, folder: str) -> None:
    """Keep what is about to be replaced; a restore that is repeated keeps the first."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for suffix in ("", *SIDECARS):
        present, kept = database + suffix, os.path.join(folder, REPLACED + suffix)
        if os.path.exists(present):
            if not os.path.exists(kept):
                keep(present, kept)
            if suffix:
                os.unlink(present)


def keep(present: str, kept: str) -> None:
    """Give a file a second name; a copy where the volume has no hard links."""
    try:
        os.link(present, kept)
    except OSError:
        require_space(os.path.dirname(kept), os.path.getsize(present))
        shutil.copyfile(present, f"{kept}.part")
        os.replace(f"{kept}.part", kept)


def require_space(folder: str, wanted: int) -> None:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < wanted + SPARE_BYTES:
        raise Refused(
            f"No space on the hub's volume: {wanted + SPARE_BYTES:,} bytes are needed, {free:,} are free."
        )


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for chunk in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(chunk)
    return digest.hexdigest()


def sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    raise SystemExit(main())
