"""A fresh database takes the place of one that cannot be migrated: same users, nothing of the old schema."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import fresh_start, schema
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.base import Database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.migration import Migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.sqlite_database import (
    SqliteDatabase,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

from tests.hubs.databases.servers import KINDS, Place, empty_place
from tests.hubs.real_hub import environment, fill_database, make_database
from tests.testbed.databases import Server

NEW = "6.1.1"
#: What the hub alone knows of people, a table of an authenticator's, and a server that runs.
OF_PEOPLE = """
    UPDATE users SET admin = TRUE, encrypted_auth_state = x'67414141ff00' WHERE name = 'user1';
    INSERT INTO servers (id, ip, port, base_url) VALUES (7, '127.0.0.1', 8888, '/user/user2/');
    INSERT INTO spawners (id, user_id, server_id, name, state, user_options)
        SELECT 5, id, 7, 'named', '{"pvc_name":  "claim-2"}', '{"image": "r"}' FROM users
        WHERE name = 'user2';
    CREATE TABLE users_info (username VARCHAR(20), password VARCHAR(20));
    INSERT INTO users_info VALUES ('user1', 'hash');
"""
#: What it must be afterwards as it was, and what not.
KEPT = {
    "users": "SELECT id, name, admin, cookie_id, encrypted_auth_state, created FROM users ORDER BY id",
    "groups": "SELECT user_id, name FROM user_group_map JOIN {groups} g ON g.id = group_id ORDER BY 1",
    "spawners": "SELECT id, user_id, name, state, user_options FROM spawners ORDER BY id",
    "others": "SELECT * FROM users_info",
}
ROLES = "SELECT user_id, name FROM user_role_map JOIN roles ON roles.id = role_id ORDER BY user_id, name"


def context_of(folder: Path) -> ExecutionContext:
    return ExecutionContext(
        *("root", os.geteuid(), os.getegid(), (), str(folder), str(folder)),
        {"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query.format(groups='"groups"')))


def start(database: Database, context: ExecutionContext, at: Path, stopped: bool = True) -> Migration:
    return fresh_start.start_fresh(database, context, str(at), stopped=stopped, timeout=60)


@pytest.fixture(scope="module")
def new_tables(tmp_path_factory: pytest.TempPathFactory) -> set[object]:
    """Those of a database that the new hub has made."""
    path = tmp_path_factory.mktemp("new") / "hub.sqlite"
    make_database(NEW, path)
    return tables(path)


@pytest.mark.parametrize("version", ["1.5.1", "2.3.1", "4.1.6"])
def test_users_and_what_is_theirs_are_in_the_fresh_database(
    tmp_path: Path, version: str, new_tables: set[object]
) -> None:
    path = tmp_path / "hub.sqlite"
    make_database(version, path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OF_PEOPLE)
    wanted = {**KEPT, **({"roles": ROLES} if version != "1.5.1" else {})}
    before = {name: rows(path, query) for name, query in wanted.items()}
    done = start(SqliteDatabase(path), context_of(tmp_path), environment(NEW))
    assert {name: rows(path, query) for name, query in wanted.items()} == before
    assert rows(path, "SELECT server_id FROM spawners") == [(None,)]
    assert (done.from_revision, done.to_revision) != (None, schema.head_revision(environment(version)))
    assert tables(path) == new_tables | {"users_info"}
    assert (done.rows_before["api_tokens"], done.rows_after["api_tokens"]) == (5, 0)


def tables(path: Path) -> set[object]:
    return {name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_servers_that_go_on_without_the_hub_are_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    make_database("4.1.6", path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OF_PEOPLE)
    before = path.read_bytes()
    with pytest.raises(HubError, match="1 servers are registered that go on without the hub; stop them"):
        start(SqliteDatabase(path), context_of(tmp_path), environment(NEW), stopped=False)
    assert path.read_bytes() == before


def test_what_was_cut_off_has_no_revision_and_is_not_taken_for_a_hubs_database(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    make_database("4.1.6", path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE users SET created = 'never' WHERE name = 'user3'")
        connection.commit()
    with pytest.raises(HubError, match=f"In sqlite:///{path}, by the Python of .*: ValueError: "):
        start(SqliteDatabase(path), context_of(tmp_path), environment(NEW))
    assert len(rows(path, "SELECT * FROM users")) == 5, "rows that cannot be read have cost others"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
    with pytest.raises(HubError, match="not a whole database of a hub: it has no users, or no revision"):
        start(SqliteDatabase(path), context_of(tmp_path), environment(NEW))


@pytest.fixture(scope="module", params=["postgresql-15", "mariadb-10.11"])
def on_server(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str]]:
    with KINDS[request.param].start() as server:
        yield server, request.param


def test_a_servers_database_stays_who_it_is(on_server: tuple[Server, str], tmp_path: Path) -> None:
    server, kind = on_server
    place = empty_place(server, KINDS[kind], tmp_path)
    fill_database(environment("4.1.6", *KINDS[kind].packages), place.config.url)
    for statement in OF_PEOPLE.replace("x'67414141ff00'", "'gAAA'").split(";")[:-1]:
        place.sql(statement)
    before, database = content_of(place), place.database()
    hangs_on_it = database.particulars()
    start(database, place.context, environment(NEW, *KINDS[kind].packages))
    assert content_of(place) == before
    assert place.sql("SELECT count(*) FROM api_tokens").strip() == "0"
    assert database.particulars() == hangs_on_it
    assert place.databases() == [place.name]
    # Numbers of new rows follow those that were taken over.
    place.sql("INSERT INTO users (name, cookie_id) VALUES ('eve', 'x')")
    assert place.sql("SELECT id FROM users WHERE name = 'eve'").strip() == "6"


def content_of(place: Place) -> dict[str, str]:
    groups = place.database().quoted("groups")
    return {name: place.sql(query.format(groups=groups)) for name, query in {**KEPT, "roles": ROLES}.items()}
