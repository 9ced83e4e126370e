"""The copy of a hub's database that is rehearsed on, and what a migration must not change in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import sqlite
from .base import Keys

#: Beside the database: on the same disk, so that what is measured on the copy holds for the database.
SUFFIX = ".hubops-rehearsal"

#: What identifies users, their rights and their tokens; no migration of JupyterHub's changes it.
KEYS = {
    "users": ("id", "name", "admin", "cookie_id", "encrypted_auth_state"),
    "groups": ("id", "name"),
    "user_group_map": ("user_id", "group_id"),
    "roles": ("id", "name"),
    "user_role_map": ("user_id", "role_id"),
    "group_role_map": ("group_id", "role_id"),
    "service_role_map": ("service_id", "role_id"),
    "services": ("id", "name", "admin"),
    "api_tokens": ("id", "hashed", "prefix", "user_id", "service_id", "expires_at"),
    "oauth_clients": ("identifier", "secret"),
    "spawners": ("id", "user_id", "name"),
    "shares": ("id", "user_id", "group_id", "owner_id", "spawner_id"),
}
#: Columns whose content may be shown in a message.
SHOWN = ("name", "identifier", "id", "user_id")

#: Single-user servers: a hub that finds them polls them, and may stop them. With what refers to them.
SERVERS = ("share_codes", "shares", "spawners", "servers")
SERVERS_OF_SERVICES = "UPDATE services SET _server_id = NULL"


def folder_of(database: Path) -> Path:
    """The folder of a rehearsal: always the same for one database, so that nothing can pile up."""
    return Path(f"{os.path.realpath(database)}{SUFFIX}")


@contextlib.contextmanager
def scratch(database: Path, context: ExecutionContext) -> Iterator[Path]:
    """A folder of the hub's user beside the database, empty at first and gone afterwards.

    Raises HubError when it cannot be made, and when another rehearsal has it. One that was killed has not.
    """
    folder = folder_of(database)
    with contextlib.ExitStack() as stack:
        try:
            _take(folder, stack)
            for entry in folder.iterdir():
                _remove(entry)
            os.chown(folder, context.uid, context.gid)
        except OSError as error:
            raise HubError(
                f"{folder} cannot be made for the rehearsal: {error.strerror}.",
                "Make space there, or check the folder's owner and mode.",
            ) from error
        try:
            yield folder
        finally:
            _remove(folder)


def remove(database: Path) -> None:
    """Remove what a rehearsal that was killed has left of its copy.

    Raises HubError when one is at work.
    """
    folder = folder_of(database)
    if os.path.lexists(folder):
        with contextlib.ExitStack() as stack:
            _take(folder, stack)
            _remove(folder)


def _take(folder: Path, stack: contextlib.ExitStack) -> None:
    """Make the folder and lock it; the kernel unlocks it when this process ends, however it does."""
    while True:
        if folder.is_symlink():
            folder.unlink()
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HubError(
                f"Another rehearsal works in {folder} at this moment.", "Wait until it has ended."
            ) from None
        # Its owner may have removed it before this process got the lock.
        if folder.is_dir() and os.path.samestat(folder.stat(), os.fstat(descriptor)):
            return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def copy(database: Path, folder: Path, context: ExecutionContext, name: str) -> Path:
    """Copy the database, which may be in use, into the folder of a rehearsal; the hub's user may write it."""
    target = folder / f"{name}.sqlite"
    sqlite.backup(database, target, owner=(context.uid, context.gid))
    return target


def keys(database: Path) -> dict[str, Keys]:
    """The key columns of a copy that is not in use, by table; what the copy does not have is left out."""
    found = {}
    with contextlib.closing(sqlite3.connect(str(database))) as connection:
        for table, wanted in KEYS.items():
            there = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
            columns = tuple(column for column in wanted if column in there)
            if columns:
                rows = connection.execute(f'SELECT {", ".join(columns)} FROM "{table}"')
                found[table] = Keys(columns, set(rows))
    return found


def compare(before: dict[str, Keys], after: dict[str, Keys], given_up: set[str]) -> list[str]:
    """What the rows of before are missing afterwards, a sentence for each table.

    ``given_up`` are tables whose rows a migration drops on purpose.
    """
    wrong = []
    for table, old in before.items():
        if table in given_up:
            continue
        new = after.get(table, Keys((), set()))
        kept = [column for column in old.columns if column in new.columns]
        gone = _project(old, kept) - _project(new, kept) if kept else old.rows
        lost = [column for column in old.columns if column not in new.columns]
        if lost and old.rows:
            wrong.append(f"{table} has no {', '.join(lost)} any more")
        elif gone:
            wrong.append(f"{len(gone)} rows of {table} are not what they were{_examples(kept, gone)}")
    return wrong


def _project(keys: Keys, columns: list[str]) -> set[tuple[Any, ...]]:
    places = [keys.columns.index(column) for column in columns]
    return {tuple(row[place] for place in places) for row in keys.rows}


def _examples(columns: list[str], rows: set[tuple[Any, ...]]) -> str:
    column = next((name for name in SHOWN if name in columns), None)
    if column is None:
        return ""
    values = sorted({str(row[columns.index(column)]) for row in rows})
    return f" ({column} {', '.join(values[:3])}{', ...' if len(values) > 3 else ''})"


def forget_servers(database: Path) -> None:
    """Take single-user servers out of the copy: a hub that knows of one asks after it, and may stop it."""
    with contextlib.closing(sqlite3.connect(str(database))) as connection:
        known = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in known}
        for table in SERVERS:
            if table in tables:
                connection.execute(f"DELETE FROM {table}")
        connection.execute(SERVERS_OF_SERVICES)
        connection.commit()


def with_auth_state(database: Path, count: int) -> list[str]:
    """Names of users whose auth state is kept, encrypted; those that were active last, at most ``count``."""
    query = (
        "SELECT name FROM users WHERE encrypted_auth_state IS NOT NULL ORDER BY last_activity DESC LIMIT ?"
    )
    with contextlib.closing(sqlite3.connect(str(database))) as connection:
        return [str(name) for (name,) in connection.execute(query, (count,))]
