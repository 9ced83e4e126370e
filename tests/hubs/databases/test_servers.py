"""Databases of servers, of each kind, from the backup to the restore, with real hubs' data."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import (
    find_database,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.server import ServerDatabase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict

from tests import REPOSITORY
from tests.hubs.databases.servers import KINDS, PASSWORD, SQLALCHEMY, Kind, Place, empty_place
from tests.hubs.real_hub import environment, fill_database
from tests.testbed.databases import Server

OLD_REVISION = "0eee8c825d24"
POINT = "20261120T211500Z-4.1.6-6.1.1"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def server(kind: Kind) -> Iterator[Server]:
    with kind.start() as server:
        yield server


@pytest.fixture
def place(server: Server, kind: Kind, tmp_path: Path) -> Place:
    """A database of JupyterHub 4.1.6, on a server that serves others as well."""
    place = empty_place(server, kind, tmp_path)
    fill_database(environment("4.1.6", *kind.packages), place.config.url)
    return place


@pytest.fixture
def point(tmp_path: Path) -> Path:
    folder = tmp_path / POINT
    folder.mkdir()
    return folder


def migrate_badly(place: Place) -> None:
    """What a migration may have done when it failed, and users meanwhile."""
    place.sql("ALTER TABLE users ADD COLUMN added INTEGER")
    place.sql("CREATE TABLE of_migration (id INTEGER)")
    place.sql("DELETE FROM api_tokens")
    place.sql("UPDATE users SET name = 'somebody' WHERE name = 'user0'")
    place.sql("DROP TABLE oauth_codes")


def test_what_is_found(place: Place) -> None:
    found = find_database(place.config, place.context, SQLALCHEMY, 5)
    assert (found.exists, found.problem, found.path) == (True, None, None)
    assert (found.revision, found.revisions, found.ahead) == (OLD_REVISION, 1, [])
    assert (found.rows or {})["users"] == 5
    assert found.bytes and found.bytes > 100_000
    assert found.server and all(found.server.clients.values()) and not found.server.clients_too_old
    assert (found.server.sessions, found.server.views, found.server.foreign_tables) == ([], [], [])
    assert found.server.no_copies == ""
    for part in ("s3 cr", "s3%20cr"):
        assert part not in repr(found) and part not in repr(place.database().access)


def test_the_stopped_database_is_restored_exactly(place: Place, point: Path) -> None:
    database = place.database()
    early = database.back_up(point, 5)
    assert (early.sealed, early.revision, early.rows["users"]) == (False, OLD_REVISION, 5)
    database.prepare_seal(point, early)
    place.sql("UPDATE users SET name = 'late' WHERE name = 'user4'")
    sealed = database.seal(point, early, 5)
    database.remove_other_copies(point, sealed)
    before = place.server.content(place.name)
    for _time in range(2):
        migrate_badly(place)
        assert place.server.content(place.name) != before
        database.restore(point, sealed, point / "replaced")
        database.give_owner_of(sealed)
        assert place.server.content(place.name) == before
        assert database.has_owner_of(sealed)
    assert database.prove(point, sealed) == database.contents()
    database.discard(point, sealed)
    assert place.databases() == [place.name]


def test_a_backup_that_was_never_sealed_is_restored_as_well(place: Place, point: Path) -> None:
    database = place.database()
    before = place.server.content(place.name)
    backup = database.back_up(point, 5)
    assert database.prove(point, backup) == (backup.revision, backup.rows) == database.contents()
    migrate_badly(place)
    database.restore(point, backup, point / "replaced")
    assert place.server.content(place.name) == before
    assert list((point / "replaced").iterdir()), "what was there is kept"


def test_a_dump_that_is_cut_off_is_noticed(place: Place, point: Path) -> None:
    database = place.database()
    backup = database.back_up(point, 5)
    dump = point / backup.file
    dump.write_bytes(dump.read_bytes()[: backup.bytes // 2])
    before = place.server.content(place.name)
    with pytest.raises(HubError):
        database.prove(point, backup)
    with pytest.raises(HubError):
        database.replace_with(dump)
    assert database.contents().revision is None or place.server.content(place.name) == before


def test_a_copy_is_for_the_rehearsal_alone(place: Place, point: Path, kind: Kind) -> None:
    database = place.database()
    python = environment("4.1.6", *kind.packages) / "bin" / "python"
    before = place.server.content(place.name)
    with database.scratch(place.context) as scratch:
        copy = database.copy(scratch, place.context, "new")
        assert copy.contents() == database.contents()
        assert len(copy.keys()["users"].rows) == 5
        assert copy.keys()["api_tokens"].columns == (
            *("id", "hashed", "prefix", "user_id", "service_id", "expires_at"),
        )
        copy.forget_servers()
        assert copy.users_with_auth_state(3) == []
        assert copy.users() == {f"user{number}" for number in range(5)}
        count = (
            "import sys; from jupyterhub import orm; "
            "s = orm.new_session_factory(sys.stdin.read())(); print(s.query(orm.User).count()); "
            "s.delete(s.query(orm.User).first()); s.commit()"
        )
        done = subprocess.run(
            [python, "-c", count], input=copy.url(SQLALCHEMY), capture_output=True, text=True, check=True
        )
        assert done.stdout == "5\n"
        assert copy.contents().rows["users"] == 4
        with pytest.raises(HubError, match="Another rehearsal works"):
            database.remove_scratch()
    assert place.server.content(place.name) == before
    assert place.databases() == [place.name]
    assert not database.scratch_folder.exists()


def test_what_a_killed_rehearsal_has_left_is_removed(place: Place) -> None:
    database = place.database()
    database.scratch_folder.mkdir()
    database.copy(database.scratch_folder, place.context, "new")
    assert len(place.databases()) == 2
    database.remove_scratch()
    assert place.databases() == [place.name]


def test_a_reserve_that_is_released_late_takes_no_copy_away(place: Place, point: Path) -> None:
    database = place.database()
    backup = database.back_up(point, 5)
    database.reserve()
    with database.restored_copy(point, backup, place.context) as copy:
        database.release_reserve()
        assert copy.contents() == database.contents()
    database.reserve()
    assert len(place.databases()) == 2
    database.release_reserve()
    assert place.databases() == [place.name]


def test_what_was_written_since_is_told(place: Place, point: Path) -> None:
    database = place.database()
    backup = database.seal(point, database.back_up(point, 5), 5)
    assert not database.since(point, backup).lost
    place.sql("UPDATE users SET last_activity = '2030-01-01 00:00:00'")
    assert not database.since(point, backup).lost
    place.sql("UPDATE users SET name = 'ada' WHERE name = 'user0'")
    place.sql("INSERT INTO users (name, cookie_id, created) VALUES ('eve', 'x', '2026-11-21 10:00:00')")
    since = database.since(point, backup)
    assert (since.lost, since.users) == (True, ["eve"])
    assert since.tables["users"] == (6, 5, 1, 1)
    assert since.newest["users"].startswith("2026-11-21 10:00:00")
    database.discard(point, backup)


def test_a_server_that_is_started_again_is_waited_for(kind: Kind, tmp_path: Path) -> None:
    with kind.start() as server:
        place = empty_place(server, kind, tmp_path)
        database = place.database()
        server.stop(signal.SIGKILL)
        with pytest.raises(HubError):
            database.wait(0)
        found = find_database(place.config, place.context, SQLALCHEMY, 5)
        assert found.problem and PASSWORD not in found.problem
        server.start()
        database.wait(60)
        assert database.exists()


#: Restores in a process of its own, which is to be killed.
RESTORE = """
import json, sys
from pathlib import Path
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import Access
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import (
    DatabaseBackup, DatabaseFacts)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
asked = json.load(sys.stdin)
database = database_of(DatabaseFacts(asked["kind"], "url"), from_dict(Access, asked["access"]))
point = Path(asked["point"])
backup = from_dict(DatabaseBackup, asked["backup"])
print("begins", flush=True)
database.restore(point, backup, point / "replaced")
database.give_owner_of(backup)
"""


@pytest.mark.parametrize("sealed", [True, False])
def test_a_restore_that_is_killed_again_and_again_converges(place: Place, point: Path, sealed: bool) -> None:
    database = place.database()
    backup = database.back_up(point, 5)
    if sealed:
        backup = database.seal(point, backup, 5)
    before = place.server.content(place.name)
    migrate_badly(place)
    for seconds in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        process = restoring(database, point, backup)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()
    assert restoring(database, point, backup).wait(60) == 0
    assert place.server.content(place.name) == before
    database.discard(point, backup)
    assert place.databases() == [place.name]


def restoring(database: ServerDatabase, point: Path, backup: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RESTORE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / ".collections")},
    )
    assert process.stdin and process.stdout
    asked = {
        "kind": database.kind,
        "access": to_dict(database.access),
        "point": str(point),
        "backup": to_dict(backup),
    }
    process.stdin.write(json.dumps(asked))
    process.stdin.close()
    assert process.stdout.readline() == "begins\n"
    return process
