"""What was written to a hub's database since its copy was made: what restoring the copy would lose."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..errors import HubError
from . import sqlite
from .base import Since, TableChange
from .hub_tables import ACTIVITY, CREATED, PASSING, is_peoples

LOCK_SECONDS = 10


def since(copy: Path, database: Path) -> Since:
    """Compare a database, which may be in use and of a newer schema, with an earlier copy of it.

    Rows are identified by their keys, and compared by the columns that both know. Raises HubError when either
    cannot be read.
    """
    with sqlite.reading(database, LOCK_SECONDS, beside=copy) as connection:
        try:
            tables = {
                name: _change(connection, name) for name in sorted(_tables(connection, "main") - PASSING)
            }
            users = _new_users(connection)
            newest = {name: _newest(connection, name) for name, change in tables.items() if change.new}
        except sqlite3.Error as error:
            raise HubError(f"{database} and {copy} cannot be compared: {error}.") from error
    return Since.of(tables, users, newest)


def _change(connection: sqlite3.Connection, table: str) -> TableChange:
    now = _count(connection, "main", table)
    if table not in _tables(connection, "beside"):
        return TableChange(now, 0, now, 0)
    key, common = _columns(connection, table)
    listed = ", ".join(map(_quoted, common))
    other = (
        f"SELECT {listed} FROM main.{_quoted(table)} WHERE {_is_peoples(connection, table)} "
        f"EXCEPT SELECT {listed} FROM beside.{_quoted(table)}"
    )
    different = connection.execute(f"SELECT count(*) FROM ({other})").fetchone()[0]
    new = connection.execute(
        f"SELECT count(*) FROM main.{_quoted(table)} AS present WHERE {_is_new(connection, table, key)}"
    ).fetchone()[0]
    return TableChange(now, _count(connection, "beside", table), new, max(different - new, 0))


def _is_peoples(connection: sqlite3.Connection, table: str) -> str:
    """A condition on rows of the present database: they are user data, whose loss matters."""
    columns = {row[1] for row in connection.execute(f"PRAGMA main.table_info({_quoted(table)})")}
    return is_peoples(table, columns)


def _is_new(connection: sqlite3.Connection, table: str, key: list[str]) -> str:
    """A condition on rows of ``present``: user data, and the copy has no row with the same key."""
    same = " AND ".join(f"kept.{_quoted(column)} IS present.{_quoted(column)}" for column in key)
    return (
        f"{_is_peoples(connection, table)} AND NOT EXISTS "
        f"(SELECT 1 FROM beside.{_quoted(table)} AS kept WHERE {same})"
    )


def _new_users(connection: sqlite3.Connection) -> list[str]:
    if not {"users"} <= _tables(connection, "main") & _tables(connection, "beside"):
        return []
    query = "SELECT name FROM main.users EXCEPT SELECT name FROM beside.users ORDER BY name"
    return [str(name) for (name,) in connection.execute(query)]


def _newest(connection: sqlite3.Connection, table: str) -> str:
    """The time of creation of the newest row that is new; empty where the table has none."""
    columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({_quoted(table)})")]
    created = next((name for name in CREATED if name in columns), None)
    if created is None or table not in _tables(connection, "beside"):
        return ""
    key, _common = _columns(connection, table)
    query = (
        f"SELECT max({_quoted(created)}) FROM main.{_quoted(table)} AS present "
        f"WHERE {_is_new(connection, table, key)}"
    )
    return str(connection.execute(query).fetchone()[0] or "")


def _columns(connection: sqlite3.Connection, table: str) -> tuple[list[str], list[str]]:
    """The columns that tell a table's rows apart, and those whose content both databases know."""
    rows = {
        schema: list(connection.execute(f"PRAGMA {schema}.table_info({_quoted(table)})"))
        for schema in ("main", "beside")
    }
    known = {row[1] for row in rows["beside"]}
    common = [row[1] for row in rows["main"] if row[1] in known and row[1] not in ACTIVITY]
    key = [row[1] for row in rows["main"] if row[5] and row[1] in common]
    return key or common, common


def _count(connection: sqlite3.Connection, schema: str, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {schema}.{_quoted(table)}").fetchone()[0])


def _tables(connection: sqlite3.Connection, schema: str) -> set[str]:
    query = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return {name for (name,) in connection.execute(query)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
