"""The copy of a SQLite database that is rehearsed on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ..system.execution_context import ExecutionContext
from . import hub_tables, scratch_folders, sqlite
from .base import Keys


def folder_of(database: Path) -> Path:
    """The folder of a rehearsal, beside the database: what is measured on the copy holds for the database.

    Always the same for one database, so that nothing can pile up.
    """
    return Path(f"{os.path.realpath(database)}{scratch_folders.SUFFIX}")


def copy(database: Path, folder: Path, context: ExecutionContext, name: str) -> Path:
    """Copy the database, which may be in use, into the folder of a rehearsal; the hub's user may write it."""
    target = folder / f"{name}.sqlite"
    sqlite.backup(database, target, owner=(context.uid, context.gid))
    return target


def keys(database: Path) -> dict[str, Keys]:
    """The key columns of a copy that is not in use, by table; what the copy does not have is left out."""
    found = {}
    with contextlib.closing(sqlite3.connect(str(database))) as connection:
        for table, wanted in hub_tables.KEYS.items():
            there = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
            columns = tuple(column for column in wanted if column in there)
            if columns:
                rows = connection.execute(f'SELECT {", ".join(columns)} FROM "{table}"')
                found[table] = Keys(columns, set(rows))
    return found


def forget_servers(database: Path) -> None:
    """Take single-user servers out of the copy: a hub that knows of one asks after it, and may stop it."""
    with contextlib.closing(sqlite3.connect(str(database))) as connection:
        known = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in known}
        for table in hub_tables.SERVERS:
            if table in tables:
                connection.execute(f"DELETE FROM {table}")
        connection.execute(hub_tables.SERVERS_OF_SERVICES)
        connection.commit()


def with_auth_state(database: Path, count: int) -> list[str]:
    """Names of users, as `DatabaseCopy.users_with_auth_state` has them."""
    with contextlib.closing(sqlite3.connect(str(database))) as connection:
        return [str(name) for (name,) in connection.execute(hub_tables.users_with_auth_state(count))]
