"""SQLite databases: read without a trace, copied while in use, restored as a whole.

Only the online backup API copies a database that is in use: a plain file copy misses the rows that are still
in the ``-wal`` file, and may be torn. Limits and behaviour are those of https://www.sqlite.org/backup.html.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from ..errors import HubError
from ..system import files

HEADER = b"SQLite format 3\x00"
SIDECARS = ("-wal", "-shm", "-journal")
PAGES_PER_STEP = 4096
SPARE_BYTES = 1024 * 1024


class Inspection(NamedTuple):
    """What a database holds, read in one transaction."""

    path: Path
    bytes: int
    journal_mode: str
    """``wal``, or ``delete`` for the older modes, which the file does not tell apart."""
    revision: str | None
    """Alembic's revision; None where no hub has stamped the database."""
    rows: dict[str, int]
    """Number of rows of each table."""


class BackupResult(NamedTuple):
    """A verified copy of a database."""

    path: Path
    changed: bool
    """False when a copy with the same content was there already."""
    sha256: str
    bytes: int
    revision: str | None
    rows: dict[str, int]
    broken_references: dict[str, int]
    """Rows that refer to a row that does not exist, by table. The hub's own rows may; it is no damage."""


def inspect(path: Path, timeout: float = 10) -> Inspection:
    """Read revision, journal mode and row counts; nothing is written to the database.

    ``timeout`` is the number of seconds to wait for a lock. Raises HubError when there is no such database,
    it is not one, is damaged, cannot be read, or stays locked.
    """
    with reading(path, timeout) as connection:
        revision, rows = _contents(connection)
        size = _bytes(connection)
    return Inspection(path, size, "wal" if _uses_wal(path) else "delete", revision, rows)


def backup(
    source: Path,
    destination: Path,
    *,
    timeout: float = 10,
    force: bool = False,
    owner: tuple[int, int] | None = None,
    mode: int = 0o600,
    progress: Callable[[int, int], None] | None = None,
) -> BackupResult:
    """Copy a database while it is in use, and prove the copy before it gets its name.

    The copy is one moment of the source. A writer of a database in WAL mode is not held up; in the older
    journal modes its commits wait for the copy, as they do for any reader. Where ``destination`` holds the
    same content it stays as it is, unless ``force``. ``progress`` is called with pages copied and pages in
    all.

    Raises HubError, with nothing left behind, when the source cannot be read (see `inspect`) or is damaged,
    or the destination cannot be written or has no space.
    """
    if destination.is_dir():
        raise HubError(f"{destination} is a folder.", "Name the file that the copy is to be.")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise HubError(f"{destination} is the database itself.", "Name another file for the copy.")
    with files.scratch(destination) as part:
        try:
            with reading(source, timeout) as reader:
                _require_space(destination.parent, _bytes(reader) + SPARE_BYTES)
                _copy(reader, part, destination, progress)
            revision, rows, broken_references = _prove(part, source)
            sha256 = files.sha256(part)
            size = part.stat().st_size
            if force or not destination.is_file() or files.sha256(destination) != sha256:
                files.own(part, owner, mode)
                files.rename(part, destination)
                changed = True
            else:
                changed = files.own(destination, owner, mode)
        except OSError as error:
            raise _unwritable(destination, error) from error
    return BackupResult(destination, changed, sha256, size, revision, rows, broken_references)


def is_at_rest(database: Path) -> bool:
    """Whether the file is all of the database: there is no journal and no ``-wal`` beside it."""
    real = database.resolve()
    sidecars = (real.with_name(real.name + suffix) for suffix in ("-wal", "-journal"))
    return not any(sidecar.exists() and sidecar.stat().st_size for sidecar in sidecars)


def refresh(copy: Path, source: Path, *, timeout: float = 10) -> BackupResult:
    """Make ``copy``, which may be an earlier one, byte for byte the same as a database at rest, and prove it.

    Only what differs is written, so this takes seconds less than `backup` where much is the same. ``timeout``
    is in seconds. Raises HubError as `backup` does; ``copy`` is then worth nothing.
    """
    _require_database(source)
    # Opened before SQLite opens it and closed afterwards: closing a file drops the locks that a process has.
    with source.open("rb") as origin, reading(source, timeout):
        try:
            _require_space(copy.parent, origin.seek(0, os.SEEK_END) - _size(copy) + SPARE_BYTES)
            sha256, changed = _write_differences(origin, copy)
        except OSError as error:
            raise _unwritable(copy, error) from error
    revision, rows, broken_references = _prove(copy, source)
    return BackupResult(copy, changed, sha256, copy.stat().st_size, revision, rows, broken_references)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _write_differences(origin: BinaryIO, copy: Path) -> tuple[str, bool]:
    """Make ``copy`` equal to ``origin``, on the disk; its SHA-256, and whether anything was written."""
    digest = hashlib.sha256()
    changed = False
    origin.seek(0)
    copy.touch(mode=0o600)
    with copy.open("r+b") as target:
        for chunk in iter(lambda: origin.read(files.CHUNK), b""):
            digest.update(chunk)
            if target.read(len(chunk)) != chunk:
                target.seek(origin.tell() - len(chunk))
                target.write(chunk)
                changed = True
        if target.seek(0, os.SEEK_END) > origin.tell():
            target.truncate(origin.tell())
            changed = True
        target.flush()
        os.fsync(target.fileno())
    files.sync(copy.parent)
    return digest.hexdigest(), changed


def would_change(
    source: Path,
    destination: Path,
    *,
    timeout: float = 10,
    owner: tuple[int, int] | None = None,
    mode: int = 0o600,
) -> bool:
    """Whether `backup` would change anything at ``destination``. Raises HubError as it does."""
    if not destination.is_file() or not files.is_owned(destination, owner, mode):
        return True
    with tempfile.TemporaryDirectory() as scratch:
        return backup(source, Path(scratch, "copy"), timeout=timeout).sha256 != files.sha256(destination)


def place(copy: Path, database: Path, aside: Path) -> None:
    """Put a copy in a database's place; what was there goes into the folder ``aside`` first.

    The hub must be stopped. Where ``database`` is a link, the file it leads to is replaced. That file goes
    aside with its ``-wal``, ``-shm`` and ``-journal`` files, which would otherwise be applied to the copy.
    The copy gets the owner and mode of the file it replaces, or the owner of the folder and 0600 where there
    is none. It may be called again after it was interrupted: files that are aside already are kept, newer
    ones get a number.

    Raises HubError when a file cannot be written.
    """
    database = database.resolve()
    try:
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.scratch(database) as part:
            _require_space(database.parent, copy.stat().st_size)
            shutil.copyfile(copy, part)
            if database.exists():
                files.dress(part, like=database)
            else:
                folder = database.parent.stat()
                os.chown(part, folder.st_uid, folder.st_gid)
            files.sync(part)
            _set_aside(database, aside)
            files.rename(part, database)
    except OSError as error:
        raise _unwritable(database, error) from error


def _set_aside(database: Path, aside: Path) -> None:
    """Keep a database in a folder, and move its sidecar files there: its own name is never without a file."""
    if database.exists():
        _keep(database, aside)
    for suffix in SIDECARS:
        sidecar = database.with_name(database.name + suffix)
        if sidecar.exists():
            _keep(sidecar, aside)
            sidecar.unlink()
    files.sync(aside)
    files.sync(database.parent)


def _keep(path: Path, folder: Path) -> None:
    target = folder / path.name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{path.name}.{number}"
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        with files.scratch(target) as part:
            shutil.copyfile(path, part)
            files.dress(part, like=path)
            files.rename(part, target)


@contextlib.contextmanager
def reading(path: Path, timeout: float, beside: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Give a connection that holds one moment of a database, and cannot write to it.

    ``beside`` is a copy that is not in use, readable as the schema ``beside`` in the same statements. Raises
    HubError as `inspect` does.
    """
    _require_database(path)
    with contextlib.ExitStack() as stack:
        try:
            file = path.resolve()
            if _interrupted(file):
                file = _recovered(file, Path(stack.enter_context(tempfile.TemporaryDirectory())))
            # A WAL database that is not open has no -wal file; a reader would create one, and leave it.
            unused = _uses_wal(file) and not _wal(file).exists()
            connection = stack.enter_context(contextlib.closing(_open(file, timeout, immutable=unused)))
            if beside:
                connection.execute("ATTACH ? AS beside", (f"file:{quote(str(beside))}?immutable=1",))
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield connection
            if unused and _wal(file).exists():
                raise HubError(f"Another process opened the database {path} while it was read.", "Try again.")
        except sqlite3.Error as error:
            raise _explain(error, path) from error


def _open(path: Path, timeout: float, immutable: bool = False) -> sqlite3.Connection:
    access = "immutable=1" if immutable else "mode=ro"
    return sqlite3.connect(
        f"file:{quote(str(path))}?{access}", uri=True, timeout=timeout, isolation_level=None
    )


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _uses_wal(path: Path) -> bool:
    """Whether a database is in WAL mode: its format version (byte 18 of the header) is 2.

    Never asked while this process has the database open: closing a file drops all locks that the process has
    on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with path.open("rb") as file:
        return file.read(19)[18:] == b"\x02"


def _interrupted(path: Path) -> bool:
    """Whether a writer died within a transaction: its journal has to be rolled back before any read.

    SQLite's test of a hot journal, without the locks: a non-empty journal whose header is not zeroed. While a
    writer is alive there is such a journal, too; the lock that the writer holds distinguishes it.
    """
    journal = path.with_name(path.name + "-journal")
    try:
        with journal.open("rb") as file:
            if not file.read(1).strip(b"\x00"):
                return False
    except FileNotFoundError:
        return False
    try:
        with contextlib.closing(_open(path, timeout=0)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return "readonly" in str(error) or "unable to open" in str(error)
    return False


def _recovered(path: Path, folder: Path) -> Path:
    """Copy a database and its journal into a folder and roll the copy back there."""
    copy = folder / path.name
    for suffix in ("", "-journal"):
        shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    with contextlib.closing(sqlite3.connect(str(copy))) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return copy


def _copy(
    reader: sqlite3.Connection,
    part: Path,
    destination: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Copy page by page; the reader's transaction keeps the source at one moment, so no step starts again."""

    def report(_status: int, remaining: int, total: int) -> None:
        if progress:
            progress(total - remaining, total)

    with contextlib.closing(sqlite3.connect(str(part), isolation_level=None)) as writer:
        # The scratch file is worth nothing until it is synced as a whole.
        writer.execute("PRAGMA synchronous = OFF")
        writer.execute("PRAGMA journal_mode = OFF")
        try:
            reader.backup(writer, pages=PAGES_PER_STEP, progress=report, sleep=0)
        except sqlite3.OperationalError as error:
            raise _unwritten(error, destination) from error


def prove(copy: Path) -> Inspection:
    """Read every page of a copy that is not in use. Raises HubError when it is damaged or cannot be read."""
    _require_database(copy)
    try:
        revision, rows, _broken_references = _prove(copy, copy)
    except sqlite3.Error as error:
        raise _explain(error, copy) from error
    return Inspection(copy, copy.stat().st_size, "wal" if _uses_wal(copy) else "delete", revision, rows)


def _prove(part: Path, source: Path) -> tuple[str | None, dict[str, int], dict[str, int]]:
    """Check the copy's integrity; return revision, row counts and broken references by table."""
    address = f"file:{quote(str(part))}?immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        try:
            verdict = [line for (line,) in connection.execute("PRAGMA integrity_check(3)")]
        except sqlite3.DatabaseError as error:
            # Too damaged even for the check.
            raise _damaged(source, str(error)) from error
        if verdict != ["ok"]:
            raise _damaged(source, "; ".join(verdict))
        broken_references: dict[str, int] = {}
        for table, *_where in connection.execute("PRAGMA foreign_key_check"):
            broken_references[table] = broken_references.get(table, 0) + 1
        return (*_contents(connection), broken_references)


def _contents(connection: sqlite3.Connection) -> tuple[str | None, dict[str, int]]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).fetchall()
    rows = {}
    for (table,) in tables:
        if table.startswith("sqlite_"):
            continue
        name = table.replace('"', '""')
        rows[table] = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
    if not rows.get("alembic_version"):
        return None, rows
    return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0], rows


def _bytes(connection: sqlite3.Connection) -> int:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])


def _require_database(path: Path) -> None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise HubError(f"{path} is not a file.", "Name the database's file.")
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except FileNotFoundError as error:
        raise HubError(
            f"There is no database {path}.", "Compare JupyterHub.db_url and the service's working directory."
        ) from error
    except OSError as error:
        raise HubError(
            f"Cannot read {path}: {error.strerror}.", "Run as the hub's user or as root."
        ) from error
    if header != HEADER:
        raise HubError(f"{path} is not a SQLite database.", "Compare JupyterHub.db_url in the hub's config.")


def _require_space(folder: Path, wanted: int) -> None:
    free = files.free_space(folder)
    if free < wanted:
        raise HubError(
            f"No space in {folder}: {wanted:,} bytes are needed and {free:,} are free.",
            "Free some, or name another folder.",
        )


def _damaged(path: Path, detail: str) -> HubError:
    return HubError(
        f"The database {path} is damaged: {detail}.",
        "Restore it from a backup, or rebuild it with sqlite3's .recover, before anything else.",
    )


def _unwritable(path: Path, error: OSError) -> HubError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(f"No space left in {path.parent}.", "Free some, or name another folder.")
    return HubError(f"Cannot write {path}: {error.strerror}.", "Check the folder's owner and mode.")


def _unwritten(error: sqlite3.Error, path: Path) -> HubError:
    if "full" in str(error):
        return HubError(f"No space left in {path.parent}.", "Free some, or name another folder.")
    return HubError(f"Cannot write {path}: {error}.", "Check the disk, its space and limits on file sizes.")


def _explain(error: sqlite3.Error, path: Path) -> HubError:
    """Turn SQLite's message into one that says what to do (before Python 3.11 there is only the text)."""
    text = str(error)
    if "locked" in text:
        return HubError(
            f"The database {path} is locked by another process.",
            "Find it with `fuser`, or wait for longer (timeout).",
        )
    if "malformed" in text or "not a database" in text:
        return _damaged(path, text)
    return HubError(
        f"Cannot read the database {path}: {text}.", "Check owner and mode of the file and its folder."
    )
