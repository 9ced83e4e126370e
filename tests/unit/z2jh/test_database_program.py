"""What a restore puts back on the hub's volume: the newest state that the old hub can use."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import database_program as program


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A hub's volume with a database of two users."""
    with sqlite3.connect(tmp_path / "jupyterhub.sqlite") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
        connection.execute("INSERT INTO alembic_version VALUES ('old')")
        connection.execute("CREATE TABLE users (name VARCHAR)")
        connection.execute("INSERT INTO users VALUES ('ada'), ('grace')")
    connection.close()
    return tmp_path


def database(volume: Path) -> str:
    return str(volume / "jupyterhub.sqlite")


def folder(volume: Path) -> str:
    return str(volume / "hubops-recovery" / "point")


def back_up(volume: Path) -> dict[str, Any]:
    return program.back_up(database(volume), folder(volume))


def write(path: str | Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def users(volume: Path) -> list[str]:
    return list(program.describe(database(volume), names=True)["users"])


MIGRATE = ("ALTER TABLE users ADD COLUMN kind VARCHAR", "UPDATE alembic_version SET version_num = 'new'")


def test_a_backup_has_the_rows_and_is_whole(volume: Path) -> None:
    made = back_up(volume)
    assert made["rows"] == {"alembic_version": 1, "users": 2}
    assert made["revision"] == "old"
    assert made["sha256"] == program.sha256(f"{folder(volume)}/jupyterhub.sqlite")


def test_what_was_not_migrated_stays_with_the_rows_that_came_after_the_backup(volume: Path) -> None:
    made = back_up(volume)
    write(database(volume), "INSERT INTO users VALUES ('edsger')")
    restored = program.restore(database(volume), folder(volume), made)
    assert users(volume) == ["ada", "edsger", "grace"]
    assert "was not migrated" in restored["used"]


def test_the_hubs_own_copy_before_its_migration_is_newer_than_the_backup(volume: Path) -> None:
    made = back_up(volume)
    write(database(volume), "INSERT INTO users VALUES ('edsger')")
    shutil.copy(database(volume), volume / "jupyterhub.sqlite.2026-11-29-180000")
    write(database(volume), *MIGRATE, "INSERT INTO users VALUES ('late', 'new')")
    restored = program.restore(database(volume), folder(volume), made)
    assert users(volume) == ["ada", "edsger", "grace"]
    assert restored["revision"] == "old"
    # What was replaced can still be looked at.
    assert program.describe(f"{folder(volume)}/replaced.sqlite")["rows"]["users"] == 4
    # Repeated, as a killed restore is, it changes nothing.
    program.restore(database(volume), folder(volume), made)
    assert users(volume) == ["ada", "edsger", "grace"]


def test_a_copy_of_an_earlier_upgrade_is_not_taken(volume: Path) -> None:
    earlier = volume / "jupyterhub.sqlite.2020-01-01-000000"
    shutil.copy(database(volume), earlier)
    os.utime(earlier, (1, 1))
    write(database(volume), "INSERT INTO users VALUES ('edsger')")
    made = back_up(volume)
    write(database(volume), *MIGRATE)
    program.restore(database(volume), folder(volume), made)
    assert users(volume) == ["ada", "edsger", "grace"]


def test_a_migration_that_stopped_half_way_is_undone_from_the_first_copy(volume: Path) -> None:
    """A hub that restarts copies again what it has half migrated, under the old revision."""
    made = back_up(volume)
    first, second = (volume / f"jupyterhub.sqlite.2026-11-29-18000{n}" for n in (0, 1))
    shutil.copy(database(volume), first)
    os.utime(first, (made["began"] + 1, made["began"] + 1))
    write(database(volume), "DELETE FROM users WHERE name = 'ada'")
    shutil.copy(database(volume), second)
    os.utime(second, (made["began"] + 2, made["began"] + 2))
    program.restore(database(volume), folder(volume), made)
    assert users(volume) == ["ada", "grace"]


def test_a_migrated_database_without_a_copy_is_replaced_by_the_backup(volume: Path) -> None:
    made = back_up(volume)
    write(database(volume), *MIGRATE)
    Path(f"{database(volume)}-wal").write_bytes(b"of the new database")
    restored = program.restore(database(volume), folder(volume), made)
    assert (users(volume), restored["used"]) == (["ada", "grace"], "the backup")
    assert not Path(f"{database(volume)}-wal").exists()


def test_a_lost_database_is_restored(volume: Path) -> None:
    made = back_up(volume)
    Path(database(volume)).unlink()
    program.restore(database(volume), folder(volume), made)
    assert users(volume) == ["ada", "grace"]


def test_a_backup_that_is_not_what_it_was_is_refused_and_nothing_is_changed(volume: Path) -> None:
    made = back_up(volume)
    write(database(volume), *MIGRATE)
    write(f"{folder(volume)}/jupyterhub.sqlite", "DELETE FROM users")
    with pytest.raises(program.Refused, match="is not what it was"):
        program.restore(database(volume), folder(volume), made)
    assert program.describe(database(volume))["revision"] == "new"


def test_a_damaged_database_is_not_backed_up_as_if_it_were_whole(volume: Path) -> None:
    write(database(volume), *(f"INSERT INTO users VALUES ('{n:0500}')" for n in range(50)))
    with Path(database(volume)).open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 8192)
    with pytest.raises((program.Refused, sqlite3.DatabaseError)):
        back_up(volume)


@pytest.mark.parametrize("in_job", [False, True])
def test_a_request_is_answered_with_its_reason_and_a_job_fails(tmp_path: Path, in_job: bool) -> None:
    request = {"do": "describe", "database": str(tmp_path / "none")}
    environment = {"HUBOPS_MESSAGE": str(tmp_path / "message")} if in_job else {}
    done = subprocess.run(
        [sys.executable, "-I", program.__file__, json.dumps(request)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert json.loads(done.stdout) == {"error": f"There is no database {tmp_path}/none."}
    assert done.returncode == int(in_job)
    if in_job:
        assert json.loads((tmp_path / "message").read_text()) == json.loads(done.stdout)
