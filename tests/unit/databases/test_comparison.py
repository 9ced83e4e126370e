"""What restoring a copy of a database would lose: rows of users, not those that a hub writes by itself."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import comparison
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import loss_report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.catalogue import (
    Comparison,
    ListedPoint,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.recovery_point import Difference

SCHEMA = """
create table alembic_version (version_num text);
create table users (id integer primary key, name text, admin integer, last_activity text, created text);
create table api_tokens
    (id integer primary key, user_id integer, note text, client_id text, last_activity text);
create table roles (id integer primary key, name text, scopes text);
create table user_group_map (user_id integer, group_id integer, primary key (user_id, group_id));
create table servers (id integer primary key, port integer);
insert into alembic_version values ('0eee8c825d24');
insert into users values (1, 'ada', 1, '2026-01-01', '2025-01-01'), (2, 'grace', 0, null, '2025-01-02');
insert into api_tokens values (1, 1, 'mine', 'jupyterhub', null);
insert into roles values (1, 'user', 'self');
insert into user_group_map values (1, 1);
"""


class Databases:
    """A copy, and the database with later changes."""

    def __init__(self, folder: Path) -> None:
        self.copy, self.present = folder / "copy.sqlite", folder / "hub.sqlite"
        with contextlib.closing(sqlite3.connect(self.copy)) as connection:
            connection.executescript(SCHEMA)
        shutil.copy(self.copy, self.present)

    def write(self, script: str) -> None:
        with contextlib.closing(sqlite3.connect(self.present)) as connection:
            connection.executescript(script)

    def since(self) -> comparison.Since:
        return comparison.since(self.copy, self.present)


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    return Databases(tmp_path)


@pytest.mark.parametrize(
    "by_itself",
    [
        "update users set last_activity = '2026-11-21'",
        "insert into servers values (1, 8888)",
        "update alembic_version set version_num = 'f460b0348206'",
        "update roles set scopes = 'self,read:users'",
        "insert into roles values (2, 'server', '')",
        "insert into api_tokens values (2, 1, 'Server at /user/ada/', 'jupyterhub', null)",
        "insert into api_tokens values (2, 1, 'a log-in', 'jupyterhub-user-ada', null)",
        "alter table users add column user_info text; update users set user_info = '{}'",
        "create table shares (id integer primary key)",
    ],
)
def test_rows_that_a_hub_writes_by_itself_are_no_loss(databases: Databases, by_itself: str) -> None:
    databases.write(by_itself)
    assert not databases.since().lost


@pytest.mark.parametrize(
    ("by_people", "table", "figures"),
    [
        ("insert into users values (3, 'joan', 0, null, '2026-11-21 10:00')", "users", (3, 2, 1, 0)),
        ("update users set admin = 1 where name = 'grace'", "users", (2, 2, 0, 1)),
        ("insert into api_tokens values (2, 2, 'mine', 'jupyterhub', null)", "api_tokens", (2, 1, 1, 0)),
        ("insert into api_tokens values (2, 2, null, null, null)", "api_tokens", (2, 1, 1, 0)),
        ("insert into roles values (2, 'teachers', 'groups')", "roles", (2, 1, 1, 0)),
        ("insert into user_group_map values (2, 1)", "user_group_map", (2, 1, 1, 0)),
        ("create table shares (id integer); insert into shares values (1)", "shares", (1, 0, 1, 0)),
    ],
)
def test_rows_that_users_write_are_a_loss(
    databases: Databases, by_people: str, table: str, figures: tuple[int, int, int, int]
) -> None:
    databases.write(by_people)
    found = databases.since()
    assert found.lost
    assert found.tables == {table: figures}


def test_missing_rows_are_reported_and_are_no_loss(databases: Databases) -> None:
    databases.write("delete from users where id = 2")
    found = databases.since()
    assert (found.tables["users"], found.lost) == ((1, 2, 0, 0), False)


def test_users_are_named_even_where_a_number_is_used_again(databases: Databases) -> None:
    databases.write(
        "delete from users where id = 2; insert into users values (2, 'joan', 0, null, '2026-11-21')"
    )
    assert databases.since().users == ["joan"]


def test_rows_of_a_hub_that_serves_are_read_from_its_log(databases: Databases) -> None:
    with contextlib.closing(sqlite3.connect(databases.present)) as serving:
        serving.execute("pragma journal_mode = wal")
        serving.execute("insert into users values (3, 'joan', 0, null, '2026-11-21')")
        serving.commit()
        assert databases.since().users == ["joan"]


def test_a_database_that_cannot_be_read_is_reported(databases: Databases) -> None:
    databases.present.write_bytes(b"no database")
    with pytest.raises(HubError, match="is not a SQLite database"):
        databases.since()


def test_the_loss_is_described_in_words(databases: Databases) -> None:
    people = ", ".join(f"({number}, 'user-{number}', '2026-11-21 10:{number}')" for number in range(10, 23))
    databases.write(f"insert into users (id, name, created) values {people}")
    found = databases.since()
    chosen = ListedPoint(
        id="x",
        path="/var/lib/hubops/hub/recovery/x",
        deployment="hub",
        purpose="upgrade",
        created="2026-11-20T21:15:00+00:00",
        from_version="4.1.6",
        to_version="6.1.1",
        run={"id": "1", "user": "joan", "controller": "laptop"},
        sealed=True,
        bytes=303104,
        problem="",
    )
    compared = Comparison(
        environments=(Difference("/opt/hub", "JupyterHub 6.1.1", "JupyterHub 4.1.6"),),
        database=Difference("/srv/hub.sqlite", "revision b, 20 rows", "revision a, 7 rows"),
        files=(),
        since=found.described(),
        equal=False,
        lost=found.lost,
        problem="",
    )
    names = ", ".join(f"user-{number}" for number in range(10, 20))
    assert loss_report.describe(chosen, compared) == [
        "The hub would be again as it was at 2026-11-20T21:15:00+00:00, before its upgrade to 6.1.1: "
        "JupyterHub 4.1.6.",
        "Recovery point: /var/lib/hubops/hub/recovery/x, made by joan on laptop",
        "/opt/hub: JupyterHub 6.1.1 -> JupyterHub 4.1.6",
        "/srv/hub.sqlite: revision b, 20 rows -> revision a, 7 rows",
        "Written since then, and lost by the rollback:",
        f"  users: 13 new ({names} and 3 more), the newest of 2026-11-21 10:22",
    ]
