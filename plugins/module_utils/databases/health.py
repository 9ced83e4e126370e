"""Health of a hub's database: what is wrong with it, and what in it an upgrade has to know of."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from ..releases import catalogue
from ..system import mounts
from ..system.execution_context import ExecutionContext
from . import sqlite

#: Reading every page of a large database takes too long for a plan.
CHECK_SECONDS = 1.0
SHOWN_NAMES = 200
_STEPS_BETWEEN_LOOKS = 20_000


def place(file: Path, context: ExecutionContext) -> dict[str, Any]:
    """``file_system`` that the database is on, and whether the hub's user may write it and its folder.

    SQLite makes its journal in the folder, so that has to be writable, too.
    """
    paths = [str(file), str(file.parent)]
    script = 'for path in "$@"; do test -w "$path" && echo yes || echo no; done'
    done = context.run(["/bin/sh", "-c", script, "sh", *paths], timeout=20)
    answers = done.stdout.split()
    mount = mounts.of_path(file, mounts.mounts())
    return {
        "file_system": mount.kind if mount else None,
        "writable": {path: answer == "yes" for path, answer in zip(paths, answers) if os.path.exists(path)},
    }


def examine(path: Path, revision: str | None, timeout: float) -> dict[str, Any]:
    """The health of a hub's database; raises HubError as `sqlite.inspect` does.

    ``damage`` is the first line of SQLite's quick check, None when it is whole or the check takes too long.
    ``ahead`` are columns of a later revision than the one it is stamped with.
    """
    with sqlite.reading(path, timeout) as connection:
        columns = {
            table: [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for table in (
                "alembic_version",
                "users",
                "spawners",
                *(each.adds[0] for each in catalogue.revisions() if each.adds),
            )
        }
        found = {
            "revisions": _count(connection, "alembic_version", columns),
            "ahead": ahead_of(revision, columns),
            "servers": _count(connection, "spawners", columns, "server_id"),
            "server_names": _server_names(connection, columns),
            "encrypted": _count(connection, "users", columns, "encrypted_auth_state"),
        }
        return {**found, **_checked(connection)}


def ahead_of(revision: str | None, columns: dict[str, list[str]]) -> list[str]:
    """Columns, as ``table.column``, that a database has of revisions after its own.

    Nothing where the revision is not one whose followers are known.
    """
    known = catalogue.revisions()
    order = [each.id for each in known]
    later = known[order.index(revision) + 1 :] if revision in order else []
    added = (each.adds for each in later if each.adds)
    return [f"{table}.{column}" for table, column in added if column in columns.get(table, [])]


def _count(
    connection: sqlite3.Connection, table: str, columns: dict[str, list[str]], column: str = ""
) -> int:
    """Rows of a table, or of those where a column is set; 0 where there is no such thing."""
    if not columns[table] or (column and column not in columns[table]):
        return 0
    where = f" WHERE {column} IS NOT NULL" if column else ""
    return int(connection.execute(f"SELECT count(*) FROM {table}{where}").fetchone()[0])


def _server_names(connection: sqlite3.Connection, columns: dict[str, list[str]]) -> list[str]:
    """Names of named servers, each once."""
    if "name" not in columns["spawners"]:
        return []
    rows = connection.execute(
        f"SELECT DISTINCT name FROM spawners WHERE name != '' ORDER BY name LIMIT {SHOWN_NAMES}"
    )
    return [str(name) for (name,) in rows]


def _checked(connection: sqlite3.Connection) -> dict[str, Any]:
    """SQLite's own quick check and its check of references, as far as the time for them goes."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_BETWEEN_LOOKS)
    broken: dict[str, int] = {}
    damage = None
    try:
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        damage = None if verdict == "ok" else verdict
        for table, *_where in connection.execute("PRAGMA foreign_key_check"):
            broken[table] = broken.get(table, 0) + 1
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
    finally:
        connection.set_progress_handler(None, 0)
    return {"damage": damage, "broken_references": broken}
