"""A database that cannot be backed up, so that nothing else may be changed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from tests.testbed import Hub
from tests.testbed.judge import untouched

from .refusal import attempt, database_url, refusal

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_missing(hub: Hub) -> None:
    with database_url(hub, "sqlite:///moved/jupyterhub.sqlite"):
        said = refusal(hub)
    assert "The hub's database /srv/jupyterhub/moved/jupyterhub.sqlite does not exist." in said
    assert "Check db_url, and the working directory of the service that it is relative to." in said


def test_not_a_database(hub: Hub) -> None:
    hub.write("/srv/notes.sqlite", "These are notes, and no database.\n" * 100)
    with database_url(hub, "sqlite:////srv/notes.sqlite"):
        said = refusal(hub)
    assert "/srv/notes.sqlite is not a SQLite database." in said


def test_damaged(hub: Hub) -> None:
    damaged = "/srv/damaged.sqlite"
    hub.exec(["cp", hub.layout.database, damaged])
    hub.exec(["dd", "if=/dev/urandom", f"of={damaged}", "bs=4096", "seek=1", "count=12", "conv=notrunc"])
    with database_url(hub, f"sqlite:///{damaged}"):
        said = refusal(hub)
    assert f"The database {damaged} is damaged" in said


def test_locked(hub: Hub) -> None:
    with untouched(hub), locked(hub, hub.layout.database):
        said = attempt(hub, jupyterhub_lock_timeout=2)
    assert f"The database {hub.layout.database} is locked by another process." in said
    assert "fuser" in said


def test_no_space_for_a_recovery_point(hub: Hub) -> None:
    with small_disk(hub, "/mnt/small", kibibytes=64):
        said = refusal(hub, jupyterhub_state_folder="/mnt/small")
    assert "/mnt/small" in said
    assert "free, but the upgrade needs" in said
    assert "jupyterhub_state_folder" in said


def test_on_a_full_disk(hub: Hub) -> None:
    with small_disk(hub, "/mnt/full", kibibytes=1024):
        hub.exec(["cp", hub.layout.database, "/mnt/full/jupyterhub.sqlite"])
        hub.exec(["dd", "if=/dev/zero", "of=/mnt/full/rest", "bs=4096"], check=False)
        with database_url(hub, "sqlite:////mnt/full/jupyterhub.sqlite"):
            said = refusal(hub)
    assert "/mnt/full has 0 MiB free, but the upgrade needs" in said


@contextlib.contextmanager
def locked(hub: Hub, database: str) -> Iterator[None]:
    """Another process holds the database's exclusive lock for as long as this lasts."""
    command = ["docker", "exec", "--interactive", hub.container, "/usr/bin/python3", "-c", LOCK, database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin and holder.stdout
        assert holder.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            holder.stdin.close()


@contextlib.contextmanager
def small_disk(hub: Hub, path: str, kibibytes: int) -> Iterator[None]:
    """A file system of its own at ``path``."""
    hub.exec(["mkdir", "-p", path])
    hub.exec(["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", path])
    try:
        yield
    finally:
        hub.exec(["umount", path])
