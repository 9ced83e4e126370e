"""All rows of a hub's database come to another one, by the hub's own Python; on real servers."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.moving import Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

from tests.hubs.real_hub import environment, make_database
from tests.testbed.databases import POSTGRESQL_15, POSTGRESQL_18, Server
from tests.testbed.databases.mysql import Mysql, mysql
from tests.testbed.databases.postgresql import postgresql

PASSWORD = "p@s:/%?#'\" ö"
#: Tables and columns of others: NativeAuthenticator's, referring to itself, and a column of an earlier hub.
OF_OTHERS = """
    CREATE TABLE users_info (
        id INTEGER PRIMARY KEY, username VARCHAR NOT NULL, password BLOB, is_authorized BOOLEAN,
        made DATETIME, share FLOAT, leader INTEGER REFERENCES users_info (id),
        user_id INTEGER REFERENCES users (id)
    );
    CREATE UNIQUE INDEX by_name ON users_info (username);
    INSERT INTO users_info VALUES
        (1, 'ada', x'00ff27', 1, '2026-01-02 03:04:05.006007', 0.1, 3, 1),
        (2, 'é€ ''"', NULL, 0, NULL, NULL, 2, NULL),
        (3, '', x'', NULL, '2026-01-02 03:04:05', -1.5e300, NULL, 2);
    ALTER TABLE users ADD COLUMN nickname TEXT DEFAULT 'x';
    UPDATE users SET encrypted_auth_state = x'67414141ff00', admin = 1 WHERE id = 2;
    UPDATE users SET state = '{"a":  [1, null]}' WHERE id = 2;
    UPDATE users SET last_activity = '2026-01-02 03:04:05.999999' WHERE id = 3;
    UPDATE api_tokens SET id = id + 1000;
"""
TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(\.\d+)?")
NAMES = (f"hub{number}" for number in itertools.count())
Rows = dict[str, list[dict[str, Any]]]


@dataclass
class Case:
    """A hub's database, and an empty one that the hub can be moved to."""

    old: Path
    target: Target
    server: Server | None
    name: str

    @property
    def source(self) -> str:
        return f"sqlite:///{self.old}"

    def rows_before(self) -> Rows:
        """All rows of the old database, as the new one can hold them: MySQL has no fractions of a second."""
        found = rows_of_sqlite(self.old)
        if not isinstance(self.server, Mysql):
            return found
        return {table: sorted_rows(map(without_fractions, rows)) for table, rows in found.items()}

    def rows(self) -> Rows:
        """All rows of the new database, read without SQLAlchemy."""
        if self.server is None:
            return rows_of_sqlite(Path(self.name))
        if isinstance(self.server, Mysql):
            return self._rows_of_mysql()
        tables = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split()
        return {
            table: sorted_rows(
                json.loads(line) for line in self.sql(f"SELECT row_to_json(t) FROM {table} t").splitlines()
            )
            for table in tables
        }

    def _rows_of_mysql(self) -> Rows:
        columns: dict[str, list[str]] = {}
        listed = f"FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{self.name}'"
        for line in self.sql(f"SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE {listed}").splitlines():
            table, column, kind = line.split("\t")
            value = f"CONCAT('\\\\x', LOWER(HEX(`{column}`)))" if kind == "blob" else f"`{column}`"
            columns.setdefault(table, []).append(f"'{column}', {value}")
        return {
            table: sorted_rows(
                json.loads(line)
                for line in self.sql(f"SELECT JSON_OBJECT({', '.join(pairs)}) FROM `{table}`").splitlines()
            )
            for table, pairs in columns.items()
        }

    def sql(self, statement: str) -> str:
        """Have the new database's superuser carry out a statement."""
        if self.server:
            return self.server.sql(statement, self.name)
        with contextlib.closing(sqlite3.connect(self.name)) as database:
            found = database.execute(statement).fetchall()
            database.commit()
            return "\n".join("\t".join(map(str, row)) for row in found)


def rows_of_sqlite(path: Path) -> Rows:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted_rows(map(dict, database.execute(f"SELECT * FROM {table}"))) for table in tables}


def sorted_rows(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(({name: plain(value) for name, value in row.items()} for row in rows), key=repr_of)


def repr_of(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


def without_fractions(row: dict[str, Any]) -> dict[str, Any]:
    return {name: TIME.sub(r"\1", value) if is_time(value) else value for name, value in row.items()}


def is_time(value: Any) -> bool:
    return isinstance(value, str) and bool(TIME.fullmatch(value))


def plain(value: Any) -> Any:
    """The same value in the same words, whichever database has it."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if is_time(value):
        return datetime.fromisoformat(value).isoformat()
    return int(value) if isinstance(value, bool) else value


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with postgresql(POSTGRESQL_15) as old, postgresql(POSTGRESQL_18) as new, mysql() as other:
        started: dict[str, Server] = {"15": old, "18": new, "mariadb": other}
        for server in started.values():
            server.make_role("hub", PASSWORD)
        yield started


#: Version of the hub, its driver, server, and how the URL begins.
KINDS = {
    "sqlite": ("4.1.6", (), "", "sqlite"),
    "postgresql 15 with psycopg2": ("4.1.6", ("psycopg2-binary",), "15", "postgresql+psycopg2"),
    "postgresql 18 with psycopg": ("6.1.1", ("psycopg[binary]",), "18", "postgresql"),
    "mariadb 10.11 with pymysql": ("6.1.1", ("PyMySQL",), "mariadb", "mysql+pymysql"),
}


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path, servers: dict[str, Server]) -> Case:
    version, driver, server, dialect = KINDS[request.param]
    old, name = tmp_path / "old.sqlite", str(tmp_path / "new.sqlite")
    make_database(version, old)
    with contextlib.closing(sqlite3.connect(old)) as database:
        database.executescript(OF_OTHERS)
    url = f"sqlite:///{name}"
    if server:
        name = next(NAMES)
        servers[server].make_database(name, "hub")
        _scheme, rest = servers[server].url("hub", PASSWORD, name).split("://")
        url = f"{dialect}://{rest}"
    context = ExecutionContext("root", 0, 0, (0,), "/root", str(tmp_path), {"PATH": "/usr/bin:/bin"})
    return Case(
        old, Target(url, "this hub", str(environment(version, *driver)), context), servers.get(server), name
    )


def test_every_row_comes_with_its_number_and_its_bytes(case: Case) -> None:
    before = case.rows_before()
    content = case.old.read_bytes()
    lines: list[str] = []

    copied = case.target.fill(case.source, 60, lines.append)

    after = case.rows()
    assert {mark["owner"] for mark in after.pop("hubops_move")} == {"this hub"}
    assert after == before
    assert copied.rows == {table: len(rows) for table, rows in before.items()}
    assert case.old.read_bytes() == content

    case.target.release()
    assert set(case.rows()) == set(before)
    # What the hub writes next gets the numbers that follow.
    case.sql("INSERT INTO groups (name) VALUES ('next')")
    case.sql("INSERT INTO users_info (username) VALUES ('next')")
    assert {row["id"] for row in case.rows()["groups"]} == {1, 2}
    assert {row["id"] for row in case.rows()["users_info"]} == {1, 2, 3, 4}
    # From now on nothing of it is removed.
    assert case.target.empty() == []
    with pytest.raises(HubError, match="The new database is not empty: it has alembic_version, "):
        case.target.fill(case.source, 60)
    assert {row["id"] for row in case.rows()["groups"]} == {1, 2}


#: What is not about a kind of database is tried with one.
one_kind = pytest.mark.parametrize("case", ["postgresql 15 with psycopg2"], indirect=True)


@one_kind
def test_what_was_cut_off_is_made_again_and_what_differs_is_noticed(case: Case) -> None:
    case.target.fill(case.source, 60)
    case.sql("DELETE FROM user_group_map")
    case.sql("UPDATE users SET encrypted_auth_state = NULL WHERE id = 2")
    found = r"not those of the old database: user_group_map \(5 rows and 0\), users \(5 rows and 5\)\."
    with pytest.raises(HubError, match=found):
        case.target.require_equal(case.source, 60)
    case.target.fill(case.source, 60)
    assert len(case.rows()["user_group_map"]) == 5


@one_kind
def test_what_a_move_has_made_is_removed_again_and_nothing_else(case: Case) -> None:
    case.target.fill(case.source, 60)
    case.target.forget_servers()
    case.sql("CREATE TABLE songs (name TEXT)")
    of_another = replace(case.target, owner="another hub")
    with pytest.raises(HubError, match="Nothing in it is of this move, but of this hub"):
        of_another.empty()

    assert len(case.target.empty()) >= 15
    assert case.target.look().tables == ["songs"]
    assert case.target.look().owner is None
    with pytest.raises(HubError, match="The new database is not empty: it has songs"):
        case.target.fill(case.source, 60)


@one_kind
@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ("UPDATE users SET state = char(97, 0) WHERE id = 1", "The rows of users cannot be copied: .*NUL"),
        (
            "UPDATE users_info SET user_id = 77",
            r"The rows of users_info .*Key \(user_id\)=\(77\) is not present",
        ),
        (
            "UPDATE users SET created = 'yesterday'",
            "The rows of users cannot be copied: ValueError: .*yesterday",
        ),
    ],
)
def test_a_row_that_a_server_refuses_is_named(case: Case, spoiled: str, message: str) -> None:
    with contextlib.closing(sqlite3.connect(case.old)) as database:
        database.execute(spoiled)
        database.commit()
    with pytest.raises(HubError, match=message) as caught:
        case.target.fill(case.source, 60)
    assert PASSWORD not in str(caught.value) and "***" in str(caught.value)
    case.target.empty()
    assert case.target.look().tables == []


@one_kind
def test_why_a_database_cannot_be_opened(case: Case, tmp_path: Path) -> None:
    url = case.target.url
    for wrong, message in (
        (url.replace("p%40s", "other"), 'password authentication failed for user "hub"'),
        (url.replace("psycopg2", "pg8000"), "No module named 'pg8000'"),
        (url.replace(f"/{case.name}", "/nowhere"), 'database "nowhere" does not exist'),
    ):
        with pytest.raises(HubError, match=message) as caught:
            replace(case.target, url=wrong).look()
        assert "p%40s" not in str(caught.value)
