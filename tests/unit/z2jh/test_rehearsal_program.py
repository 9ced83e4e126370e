"""The copy of a database on its way into a rehearsal, and what a migration may not change in it."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import (
    database_program,
    rehearsal_program,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "volume" / "jupyterhub.sqlite"
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER, name TEXT)")
        rows = [(number, f"user-{number}" * 50) for number in range(5000)]
        connection.executemany("INSERT INTO users VALUES (?, ?)", rows)
        connection.commit()
    return file


def sending(database: Path) -> subprocess.Popen[bytes]:
    request = {"do": "send", "database": str(database), "folder": str(database.parent / "copy")}
    argv = [sys.executable, str(database_program.__file__), json.dumps(request)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def received(tmp_path: Path, source: Any) -> tuple[Any, Path]:
    programs, work = tmp_path / "programs", tmp_path / "work"
    for each in (programs, work):
        each.mkdir()
    (programs / "request.json").write_text(json.dumps({"folder": str(work)}))
    argv = [sys.executable, str(rehearsal_program.__file__), str(programs), "receive"]
    done = subprocess.run(argv, stdin=source, capture_output=True, check=True)
    return json.loads(done.stdout), work


def test_a_database_in_use_arrives_whole_and_nothing_stays_where_it_came_from(
    database: Path, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(database)) as hub:
        hub.execute("BEGIN")
        hub.execute("SELECT count(*) FROM users").fetchone()
        with sending(database) as sender:
            answer, work = received(tmp_path, sender.stdout)
    assert answer == {"bytes": database.stat().st_size}
    with contextlib.closing(sqlite3.connect(work / rehearsal_program.COPY)) as copy:
        assert copy.execute("SELECT count(*) FROM users").fetchone() == (5000,)
    assert [each.name for each in work.iterdir()] == [rehearsal_program.COPY]
    assert [each.name for each in database.parent.iterdir()] == [database.name]


def test_a_receiver_that_goes_away_leaves_nothing_beside_the_database(database: Path) -> None:
    sender = sending(database)
    assert sender.stdout
    sender.stdout.read(1)
    sender.stdout.close()
    sender.wait()
    assert [each.name for each in database.parent.iterdir()] == [database.name]


def test_why_there_is_no_copy_is_told(database: Path, tmp_path: Path) -> None:
    with sending(database.with_name("none.sqlite")) as sender:
        answer, work = received(tmp_path, sender.stdout)
    assert "There is no database" in answer["problem"]
    assert not [*work.iterdir()]


def test_half_a_copy_is_none(database: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.write_bytes(gzip.compress(database.read_bytes())[:-200])
    with half.open("rb") as file:
        answer, work = received(tmp_path, file)
    assert answer["problem"].startswith("The copy is not whole")
    assert not (work / rehearsal_program.COPY).exists()


USERS = ["id", "name"]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"users": (["id", "name", "new"], {(1, "ada", 0), (2, "bob", 0)})}, []),
        ({"users": (USERS, {(1, "ada")})}, ["1 rows of users are not what they were"]),
        ({"users": (["id"], {(1,), (2,)})}, ["users has no name any more"]),
        ({}, ["users has no id, name any more"]),
    ],
)
def test_a_migration_keeps_who_people_are(after: Any, said: list[str]) -> None:
    before: Any = {"users": (USERS, {(1, "ada"), (2, "bob")}), "api_tokens": (["id"], {(1,)})}
    assert rehearsal_program.compare(before, after, {"api_tokens"}) == said
