from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration, schema
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.base import Database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import DatabaseFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

from tests.healthy_hub import database_file
from tests.hubs.real_hub import environment, link_environment, make_database, stopped_hub

HEADS = {
    "1.5.1": "4dc2d5a8c53c",
    "2.3.1": "833da8570507",
    "3.1.1": "651f5419b74d",
    "4.1.6": "0eee8c825d24",
    "5.4.6": "4621fec11365",
    "6.1.1": "f460b0348206",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A stopped hub's deployment: whose user, directory and variables a migration runs with."""
    with stopped_hub("4.1.6", tmp_path_factory.mktemp("hub")) as deployment:
        yield deployment


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A state folder, longer than a socket's address may be; no process waits when the test is over."""
    path = tmp_path / ("state" * 30)
    yield path
    migration.abandon(path)


def with_database(service: Deployment, path: Path, version: str) -> Deployment:
    """The deployment with a database of that version."""
    make_database(version, path)
    return at(service, path)


def at(service: Deployment, path: Path) -> Deployment:
    """The deployment with that database."""
    return replace(service, database=DatabaseFacts("sqlite", f"sqlite:///{path}", str(path)))


def parts(deployment: Deployment) -> tuple[Database, ExecutionContext]:
    """What a migration needs of a deployment."""
    return database_of(deployment.database), service_of(deployment.service).context()


def content(path: Path) -> dict[str, Any]:
    """Columns, number of foreign keys, and rows of each table."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: (
                sorted(map(str, database.execute(f"PRAGMA table_info({table})"))),
                len(database.execute(f"PRAGMA foreign_key_list({table})").fetchall()),
                sorted(map(str, database.execute(f"SELECT * FROM {table}"))),
            )
            for table in tables
        }


def upgrade_db(version: str, path: Path) -> None:
    """The hub's own way."""
    config = path.with_suffix(".py")
    config.write_text(f"c.JupyterHub.db_url = 'sqlite:///{path}'\n")
    folder = environment(version) / "bin"
    subprocess.run(
        [folder / "jupyterhub", "upgrade-db", "-f", config],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        cwd=path.parent,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("version", HEADS)
def test_the_revision_that_a_hub_needs_is_read_from_disk(version: str) -> None:
    assert schema.head_revision(environment(version)) == HEADS[version]


@pytest.mark.parametrize(
    ("old", "new", "given_up"),
    [
        ("1.5.1", "6.1.1", {"api_tokens", "oauth_access_tokens"}),
        ("2.3.1", "4.1.6", {"api_token_role_map", "oauth_client_role_map", "oauth_code_role_map"}),
        ("4.1.6", "6.1.1", set()),
    ],
)
def test_it_does_what_upgrade_db_does_prepared_or_not(
    service: Deployment, tmp_path: Path, folder: Path, old: str, new: str, given_up: set[str]
) -> None:
    prepared = with_database(service, tmp_path / "50%25 of what?.sqlite", old)
    cold_path, own_path = tmp_path / "cold.sqlite", tmp_path / "own.sqlite"
    for copy in (cold_path, own_path):
        shutil.copy(prepared.database.path or "", copy)
    upgrade_db(new, own_path)
    wanted = content(own_path)

    staged = link_environment(new, tmp_path / "environment.staged")
    assert migration.prepare(*parts(prepared), staged, folder)
    assert not migration.prepare(*parts(prepared), staged, folder)
    # The exchange: under the path that the process was started with is now the old version.
    staged.rename(tmp_path / "environment")
    link_environment(old, staged)
    done = migration.migrate(*parts(prepared), tmp_path / "environment", folder)
    assert done.prepared and done.changed
    assert (done.from_revision, done.to_revision) == (HEADS[old], HEADS[new])
    assert set(done.rows_before) - set(done.rows_after) == given_up
    assert done.rows_after["users"] == 5
    assert content(Path(prepared.database.path or "")) == wanted
    assert not migration.is_waiting(folder)

    cold = at(service, cold_path)
    assert not migration.migrate(*parts(cold), tmp_path / "environment", folder).prepared
    assert content(cold_path) == wanted
    again = migration.migrate(*parts(cold), tmp_path / "environment", folder)
    assert (again.changed, again.seconds) == (False, 0)


def test_a_newer_database_is_refused(service: Deployment, tmp_path: Path, folder: Path) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "6.1.1")
    before = database_file(deployment).read_bytes()
    for act in (migration.migrate, migration.prepare):
        with pytest.raises(
            HubError, match="has revision f460b0348206, which the jupyterhub in .* does not know"
        ):
            act(*parts(deployment), environment("4.1.6"), folder)
    assert database_file(deployment).read_bytes() == before
    assert not migration.is_waiting(folder)


def register_a_server(path: Path) -> None:
    """A running server, as a hub of version 2 records it."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(
            "INSERT INTO servers (id, proto, ip, port, base_url) "
            "VALUES (1, 'http', '127.0.0.1', 9999, '/user/user0/');"
            "INSERT INTO oauth_clients (identifier, secret, redirect_uri) "
            "VALUES ('jupyterhub-user-user0', '', '');"
            "INSERT INTO spawners (id, user_id, server_id, name, oauth_client_id) "
            "VALUES (1, 1, 1, '', 'jupyterhub-user-user0');"
            "INSERT INTO oauth_client_role_map SELECT oauth_clients.id, roles.id FROM oauth_clients, roles "
            "WHERE roles.name = 'server' AND oauth_clients.identifier = 'jupyterhub-user-user0';"
        )


def test_the_rehearsal_finds_what_would_fail_while_the_database_is_untouched(
    service: Deployment, tmp_path: Path, folder: Path
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "2.3.1")
    path = database_file(deployment)
    register_a_server(path)
    before = path.read_bytes()
    with pytest.raises(
        HubError, match="rehearsal on a copy of the database failed. .*no such column"
    ) as caught:
        migration.prepare(*parts(deployment), environment("6.1.1"), folder)
    assert "Stop all single-user servers through the old hub first" in str(caught.value)
    assert path.read_bytes() == before
    assert not migration.is_waiting(folder)


def test_an_intermediate_version_migrates_a_database_where_one_step_fails(
    service: Deployment, tmp_path: Path, folder: Path
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "2.3.1")
    path = database_file(deployment)
    register_a_server(path)
    rows = content(path)
    intermediate = [str(environment("4.1.6"))]
    assert migration.prepare(*parts(deployment), environment("6.1.1"), folder, intermediate=intermediate)
    assert content(path) == rows
    assert not migration.prepare(
        *parts(deployment), environment("6.1.1"), folder, intermediate=intermediate
    ), "both wait already"
    done = migration.migrate(*parts(deployment), environment("6.1.1"), folder, intermediate=intermediate)
    assert (done.from_revision, done.to_revision, done.prepared) == (HEADS["2.3.1"], HEADS["6.1.1"], True)
    assert done.rows_after["users"] == done.rows_before["users"] == len(rows["users"][2])
    assert sorted(folder.iterdir()) == [folder / migration.LOG]
    again = migration.migrate(*parts(deployment), environment("6.1.1"), folder, intermediate=intermediate)
    assert not again.changed


def test_an_intermediate_version_older_than_the_database_is_skipped(
    service: Deployment, tmp_path: Path, folder: Path
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "5.4.6")
    done = migration.migrate(
        *parts(deployment), environment("6.1.1"), folder, intermediate=[str(environment("4.1.6"))]
    )
    assert (done.from_revision, done.to_revision) == (HEADS["5.4.6"], HEADS["6.1.1"])


def add_revision(target: Path, statement: str, then: str = "pass") -> None:
    """A hub whose newest migration does something that it should not; ``then`` is a line of Python."""
    [package] = target.glob("lib/python3.*/site-packages/jupyterhub/alembic/versions")
    (package / "0123456789ab_bad.py").write_text(
        "revision = '0123456789ab'\n"
        "down_revision = 'f460b0348206'\n"
        "from alembic import op\n"
        "def upgrade():\n"
        f"    op.execute({statement!r})\n"
        f"    {then}\n"
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM users WHERE id > 2", r"lost rows of .*users \(5 before, 2 after\)"),
        ("SELECT * FROM nowhere", "The migration of .*hub.sqlite failed: .*no such table: nowhere"),
    ],
)
def test_a_bad_migration_is_noticed(
    service: Deployment, tmp_path: Path, folder: Path, statement: str, message: str
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "6.1.1")
    bad = link_environment("6.1.1", tmp_path / "bad")
    add_revision(bad, statement)
    assert schema.head_revision(bad) == "0123456789ab"
    with pytest.raises(HubError, match=f"The rehearsal .* failed. .*{message}"):
        migration.prepare(*parts(deployment), bad, folder)
    with pytest.raises(HubError, match=message):
        migration.migrate(*parts(deployment), bad, folder)


def test_a_migration_that_is_killed_leaves_no_file_behind(
    service: Deployment, tmp_path: Path, folder: Path
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "6.1.1")
    bad = link_environment("6.1.1", tmp_path / "bad")
    add_revision(bad, "SELECT 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(HubError, match=r"The migration of .* failed: signal 9 ended it\."):
        migration.migrate(*parts(deployment), bad, folder)
    settings = Path(tempfile.gettempdir()).glob("*/alembic.ini")
    assert not [file for file in settings if str(tmp_path) in file.read_text()]


def test_a_prepared_process_ends_when_cancelled_or_when_its_time_is_over(
    service: Deployment, tmp_path: Path, folder: Path
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "4.1.6")
    target = environment("4.1.6")
    assert migration.prepare(*parts(deployment), target, folder)
    assert migration.is_prepared(target, folder)
    assert not migration.is_prepared(environment("6.1.1"), folder)
    assert migration.abandon(folder)
    assert not migration.abandon(folder)

    migration.prepare(*parts(deployment), target, folder, wait=1)
    waiting = migration.waiting_process(folder)
    assert waiting
    ended, _, _ = select.select([os.pidfd_open(waiting)], [], [], 30)
    assert ended
    assert not migration.is_prepared(target, folder)


def test_a_prepared_process_that_was_killed_is_replaced(
    service: Deployment, tmp_path: Path, folder: Path
) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "4.1.6")
    migration.prepare(*parts(deployment), environment("6.1.1"), folder)
    waiting = migration.waiting_process(folder)
    assert waiting
    os.kill(waiting, signal.SIGKILL)
    done = migration.migrate(*parts(deployment), environment("6.1.1"), folder)
    assert (done.changed, done.prepared) == (True, False)


# Others may read, and not write.
HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_database_is_left_alone(service: Deployment, tmp_path: Path, folder: Path) -> None:
    deployment = with_database(service, tmp_path / "hub.sqlite", "4.1.6")
    path = database_file(deployment)
    before = path.read_bytes()
    argv = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"locked\n"
        with pytest.raises(HubError, match="failed: .*database is locked.* find it with `fuser`"):
            migration.migrate(*parts(deployment), environment("6.1.1"), folder)
        holder.communicate()
    assert path.read_bytes() == before


def test_what_is_not_a_hubs_database_is_refused(service: Deployment, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    before = path.read_bytes()
    deployment = at(service, path)
    with pytest.raises(HubError, match="is not a hub's database: it has no table of users"):
        migration.migrate(*parts(deployment), environment("6.1.1"), folder)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("database", "target", "message"),
    [
        (
            DatabaseFacts("other", "postgresql://hub:***@db/hub"),
            "6.1.1",
            "postgresql://hub:.* is not supported",
        ),
        (
            DatabaseFacts("sqlite", "", "/nonexistent/hub.sqlite"),
            "6.1.1",
            "There is no database /nonexistent/hub.sqlite",
        ),
        (None, "nowhere", "There is no Python environment at .*nowhere"),
    ],
)
def test_what_is_missing_is_named(
    service: Deployment,
    tmp_path: Path,
    folder: Path,
    database: DatabaseFacts | None,
    target: str,
    message: str,
) -> None:
    deployment = replace(service, database=database or service.database)
    where = tmp_path / target if target == "nowhere" else environment(target)
    with pytest.raises(HubError, match=message):
        migration.migrate(*parts(deployment), where, folder)
