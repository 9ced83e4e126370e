from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import sqlite
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests import REPOSITORY

NAMES = [
    "jupyterhub.sqlite",
    "with blank.sqlite",
    "50%25 off.sqlite",
    "what?.sqlite",
    "a#b&c=d.sqlite",
    "ünï.sqlite",
]


def make(path: Path, *, wal: bool = False, rows: int = 100) -> Path:
    """A database such as a hub's: users, and a revision."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        database.executescript(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE tokens (user_id INTEGER REFERENCES users (id));"
            "CREATE TABLE alembic_version (version_num TEXT);"
            "INSERT INTO alembic_version VALUES ('f460b0348206');"
        )
        database.executemany("INSERT INTO users (name) VALUES (?)", [(f"user{n}",) for n in range(rows)])
        database.commit()
    return path


def names_of(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT name FROM users ORDER BY id")]


@contextlib.contextmanager
def process(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the database; ended by SIGKILL, as a crash would."""
    argv = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def said(running: subprocess.Popen[str]) -> str:
    assert running.stdout
    return running.stdout.readline().strip()


# Names each row once it is committed.
WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
database.execute("PRAGMA synchronous = OFF")
number = 0
while True:
    number += 1
    database.execute("INSERT INTO users (name) VALUES (?)", ("written%d" % number,))
    database.commit()
    print(number, flush=True)
"""
LOCKER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
# With a tiny cache, changed pages reach the file before the commit.
INTERRUPTED = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN")
database.execute("UPDATE users SET name = 'lost' || hex(zeroblob(300))")
print("written", flush=True)
sys.stdin.read()
"""
READER_OF_WAL = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("INSERT INTO users (name) VALUES ('in the -wal file')")
database.commit()
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wal", [False, True])
def test_a_copy_is_proven_and_private(tmp_path: Path, name: str, wal: bool) -> None:
    source = make(tmp_path / name, wal=wal)
    made = sqlite.backup(source, tmp_path / f"copy of {name}")
    assert made.changed
    assert (made.revision, made.rows) == ("f460b0348206", {"alembic_version": 1, "tokens": 0, "users": 100})
    assert made.sha256 == files.sha256(made.path)
    assert made.bytes == made.path.stat().st_size == source.stat().st_size
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert names_of(made.path) == names_of(source)
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"copy of {name}"])


@pytest.mark.parametrize("wal", [False, True])
def test_a_copy_holds_every_row_that_was_committed_before(tmp_path: Path, wal: bool) -> None:
    source = make(tmp_path / "hub.sqlite", wal=wal, rows=0)
    with process(WRITER, source) as writer:
        for number in range(1, 6):
            committed = 0
            while committed < number * 50:
                committed = int(said(writer))
            made = sqlite.backup(source, tmp_path / f"copy{number}", timeout=30)
            names = names_of(made.path)
            assert names == [f"written{n}" for n in range(1, len(names) + 1)]
            assert len(names) >= committed


def test_rows_that_are_still_in_the_wal_file_are_in_the_copy(tmp_path: Path) -> None:
    source = make(tmp_path / "hub.sqlite", wal=True)
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to("../hub.sqlite")
    with process(READER_OF_WAL, source) as writer:
        said(writer)
        assert sqlite.inspect(link).rows["users"] == 101
        made = sqlite.backup(link, tmp_path / "copy")
    assert names_of(made.path)[-1] == "in the -wal file"
    # Its writer crashed: the row is nowhere but in the -wal file.
    assert (tmp_path / "hub.sqlite-wal").stat().st_size > 0
    assert sqlite.inspect(source).rows["users"] == 101


def test_unchanged_content_makes_no_second_copy(tmp_path: Path) -> None:
    source, copy = make(tmp_path / "hub.sqlite", wal=True), tmp_path / "copy"
    with contextlib.closing(sqlite3.connect(source)) as hub:
        hub.execute("INSERT INTO users (name) VALUES ('ada')")
        hub.commit()
        first = sqlite.backup(source, copy)
        written = copy.stat()
        hub.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        again = sqlite.backup(source, copy)
        assert (again.changed, again.sha256) == (False, first.sha256)
        assert not sqlite.would_change(source, copy)
        assert (copy.stat().st_ino, copy.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
        assert sqlite.backup(source, copy, force=True).changed
        hub.execute("UPDATE users SET name = 'grace' WHERE name = 'ada'")
        hub.commit()
        assert sqlite.would_change(source, copy)
        assert sqlite.backup(source, copy).changed
    assert names_of(copy)[-1] == "grace"


def test_a_mode_that_is_too_open_is_a_change(tmp_path: Path) -> None:
    source, copy = make(tmp_path / "hub.sqlite"), tmp_path / "copy"
    sqlite.backup(source, copy)
    copy.chmod(0o644)
    assert sqlite.would_change(source, copy)
    assert sqlite.backup(source, copy).changed
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_broken_references_are_reported(tmp_path: Path) -> None:
    source = make(tmp_path / "hub.sqlite")
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.executemany("INSERT INTO tokens VALUES (?)", [(1,), (777,), (778,)])
        database.commit()
    assert sqlite.backup(source, tmp_path / "copy").broken_references == {"tokens": 2}


def test_progress_is_reported_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PAGES_PER_STEP", 5)
    source = make(tmp_path / "hub.sqlite", rows=2000)
    pages = source.stat().st_size // 4096
    heard: list[tuple[int, int]] = []
    sqlite.backup(source, tmp_path / "copy", progress=lambda done, total: heard.append((done, total)))
    assert heard == [(min(done, pages), pages) for done in range(5, pages + 5, 5)]
    assert len(heard) > 2


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 4096)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "There is no database .*hub.sqlite. Compare JupyterHub.db_url"),
        (lambda path: path.write_text("c.JupyterHub.port = 8000"), "hub.sqlite is not a SQLite database."),
        (lambda path: path.write_bytes(b""), "hub.sqlite is not a SQLite database."),
        (folder_instead, "hub.sqlite is not a file."),
        (damage, "The database .*hub.sqlite is damaged: "),
        (lambda path: os.truncate(path, 5000), "The database .*hub.sqlite is damaged: "),
    ],
)
def test_what_is_no_sound_database_is_refused(tmp_path: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    source, copy = make(tmp_path / "hub.sqlite", rows=1000), tmp_path / "copy"
    copy.write_text("the old copy")
    spoil(source)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(HubError, match=message):
        sqlite.backup(source, copy)
    assert copy.read_text() == "the old copy"
    assert sorted(os.listdir(tmp_path)) == before


def test_an_earlier_copy_is_brought_up_to_date_by_what_differs(tmp_path: Path) -> None:
    source, copy = make(tmp_path / "hub.sqlite", rows=200_000), tmp_path / "copy"
    sqlite.backup(source, copy)
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.execute("UPDATE users SET name = 'grace' WHERE id = 100000")
        database.commit()
    with bytes_written() as written:
        result = sqlite.refresh(copy, source)
    assert copy.read_bytes() == source.read_bytes()
    assert result.changed
    assert (result.sha256, result.rows["users"]) == (files.sha256(source), 200_000)
    assert 0 < written[0] <= 3 * files.CHUNK < source.stat().st_size, "more was written than had changed"
    assert not sqlite.refresh(copy, source).changed


def test_a_copy_of_nothing_and_one_that_is_too_long_become_the_database(tmp_path: Path) -> None:
    source, copy = make(tmp_path / "hub.sqlite"), tmp_path / "copy"
    assert sqlite.refresh(copy, source).changed
    copy.write_bytes(copy.read_bytes() + b"more")
    assert sqlite.refresh(copy, source).changed
    assert copy.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_database_is_locked_while_its_file_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "hub.sqlite")
    refused = []

    def copied(*arguments: Any) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", LATE_WRITER, str(source)], stderr=subprocess.PIPE, text=True
        )
        refused.append("database is locked" in done.stderr)
        return copy_differences(*arguments)

    copy_differences = sqlite._write_differences
    monkeypatch.setattr(sqlite, "_write_differences", copied)
    sqlite.refresh(tmp_path / "copy", source)
    assert refused == [True]


LATE_WRITER = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=0) as hub:
    hub.execute("INSERT INTO users (name) VALUES ('late')")
"""


@contextlib.contextmanager
def bytes_written() -> Iterator[list[int]]:
    """Bytes that this process writes within the block, as the kernel counts them."""

    def count() -> int:
        return int(re.search(r"^wchar: (\d+)", Path("/proc/self/io").read_text(), re.MULTILINE)[1])  # type: ignore[index]

    written = [count()]
    yield written
    written[0] = count() - written[0]


def test_a_database_with_a_journal_beside_it_is_not_at_rest(tmp_path: Path) -> None:
    source = make(tmp_path / "hub.sqlite", wal=True)
    assert sqlite.is_at_rest(source)
    with contextlib.closing(sqlite3.connect(source)) as hub:
        hub.execute("INSERT INTO users (name) VALUES ('grace')")
        hub.commit()
        assert not sqlite.is_at_rest(source)
    assert sqlite.is_at_rest(source)


def test_a_lock_is_waited_for_and_then_named(tmp_path: Path) -> None:
    source = make(tmp_path / "hub.sqlite")
    with process(LOCKER, source) as locker:
        said(locker)
        for act in (
            sqlite.inspect,
            lambda path, timeout: sqlite.backup(path, tmp_path / "copy", timeout=timeout),
            lambda path, timeout: sqlite.refresh(tmp_path / "copy", path, timeout=timeout),
        ):
            with pytest.raises(HubError, match="The database .*hub.sqlite is locked by another process."):
                act(source, 0.2)
        assert os.listdir(tmp_path) == ["hub.sqlite"]
        locker.communicate("")
        assert sqlite.backup(source, tmp_path / "copy", timeout=30).changed


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("missing/copy", "Cannot write into .*missing: No such file or directory."),
        ("/sys/copy", "Cannot write into /sys: Permission denied."),
        (".", "is a folder. Name the file"),
        ("hub.sqlite", "hub.sqlite is the database itself."),
        ("link", "link is the database itself."),
    ],
)
def test_a_target_that_cannot_be_is_refused(tmp_path: Path, destination: str, message: str) -> None:
    source = make(tmp_path / "hub.sqlite")
    (tmp_path / "link").symlink_to("hub.sqlite")
    before = source.read_bytes()
    with pytest.raises(HubError, match=message):
        sqlite.backup(source, tmp_path / destination)
    assert sorted(os.listdir(tmp_path)) == ["hub.sqlite", "link"]
    assert source.read_bytes() == before


ON_A_SMALL_DISK = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
import tests
from pathlib import Path
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import sqlite
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

source, folder, how = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
sqlite.PAGES_PER_STEP = 50

def fill(done, total):
    with (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass

def fill_and_carry_on(done, total):
    try:
        fill(done, total)
    except OSError:
        pass

if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    sqlite.backup(source, folder / "copy", progress=fill_and_carry_on if how == "meanwhile" else None)
except HubError as error:
    print(error)
print(sorted(os.listdir(folder)))
"""


@pytest.mark.parametrize(
    ("how", "size", "message"),
    [
        ("before", "200k", r"No space in \S+: [\d,]+ bytes are needed and [\d,]+ are free."),
        ("meanwhile", "4m", r"No space left in \S+/small."),
        ("limit", "4m", r"Cannot write \S+/copy: disk I/O error."),
    ],
)
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, how: str, size: str, message: str) -> None:
    source = make(tmp_path / "hub.sqlite", rows=20_000)
    small = tmp_path / "small"
    small.mkdir()
    program = [
        sys.executable,
        "-c",
        ON_A_SMALL_DISK,
        str(REPOSITORY),
        str(source),
        str(small),
        how,
    ]
    # In a namespace of its own every user may mount a small disk.
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o size={size} small {small} && exec "$@"'
    ended = subprocess.run([*namespace, mount, "sh", *program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    refusal, left = ended.stdout.splitlines()
    assert re.search(message, refusal)
    assert left == ("['filler']" if how == "meanwhile" else "[]")


def test_a_crash_within_a_transaction_is_read_around(tmp_path: Path) -> None:
    source = make(tmp_path / "hub.sqlite", rows=2000)
    before = names_of(source)
    with process(INTERRUPTED, source) as writer:
        said(writer)
        writer.kill()
    torn = source.read_bytes()
    assert (tmp_path / "hub.sqlite-journal").stat().st_size > 0
    assert sqlite.inspect(source).rows["users"] == 2000
    assert names_of(sqlite.backup(source, tmp_path / "copy").path) == before
    assert source.read_bytes() == torn
    assert sorted(os.listdir(tmp_path)) == ["copy", "hub.sqlite", "hub.sqlite-journal"]


@pytest.mark.parametrize("wal", [False, True])
def test_looking_leaves_no_trace(tmp_path: Path, wal: bool) -> None:
    source = make(tmp_path / "hub.sqlite", wal=wal)
    before = (source.read_bytes(), source.stat().st_mtime_ns)
    found = sqlite.inspect(source)
    assert (found.journal_mode, found.revision) == ("wal" if wal else "delete", "f460b0348206")
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before
    assert os.listdir(tmp_path) == ["hub.sqlite"]


@pytest.mark.parametrize("wal", [False, True])
def test_a_copy_takes_the_place_of_a_newer_database_and_its_journal(tmp_path: Path, wal: bool) -> None:
    database, copy, aside = make(tmp_path / "hub.sqlite", wal=wal), tmp_path / "copy", tmp_path / "aside"
    old = names_of(database)
    sqlite.backup(database, copy)
    database.chmod(0o640)
    with process(READER_OF_WAL if wal else INTERRUPTED, database) as newer:
        said(newer)
    sidecar = "hub.sqlite-wal" if wal else "hub.sqlite-journal"
    assert (tmp_path / sidecar).exists()
    link = tmp_path / "link"
    link.symlink_to(database)
    sqlite.place(copy, link, aside)
    assert names_of(database) == old
    assert link.is_symlink()
    assert stat.S_IMODE(database.stat().st_mode) == 0o640
    assert {"hub.sqlite", sidecar} <= set(os.listdir(aside))
    assert not (tmp_path / sidecar).exists()
    # What was set aside is whole: it can be used again.
    assert len(names_of(aside / "hub.sqlite")) == (101 if wal else 100)


def test_placing_again_keeps_what_is_aside(tmp_path: Path) -> None:
    database, copy, aside = make(tmp_path / "hub.sqlite"), tmp_path / "copy", tmp_path / "aside"
    sqlite.backup(make(tmp_path / "other.sqlite", rows=3), copy)
    sqlite.place(copy, database, aside)
    sqlite.place(copy, database, aside)
    assert sorted(os.listdir(aside)) == ["hub.sqlite", "hub.sqlite.2"]
    assert len(names_of(aside / "hub.sqlite")) == 100
    database.unlink()
    sqlite.place(copy, database, aside)
    assert len(names_of(database)) == 3
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_a_copy_goes_to_another_file_system(tmp_path: Path) -> None:
    copy = sqlite.backup(make(tmp_path / "hub.sqlite", rows=3), tmp_path / "copy").path
    elsewhere = Path("/dev/shm", f"hubops-{os.getpid()}")
    elsewhere.mkdir()
    try:
        database = make(elsewhere / "hub.sqlite", rows=7)
        sqlite.place(copy, database, tmp_path / "aside")
        assert len(names_of(database)) == 3
        assert len(names_of(tmp_path / "aside" / "hub.sqlite")) == 7
        assert os.listdir(elsewhere) == ["hub.sqlite"]
    finally:
        shutil.rmtree(elsewhere)
