"""Dumps of MySQL's and MariaDB's databases: how one is written, what is in it, and how it is brought back.

A dump is one file that a client can read as a whole. It has parts, and its first line says where each ends:
tables and views with their rows, triggers, routines and events, and at the end the table with the stamp of
the schema's revision. A database that was restored only in part therefore has no stamp.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from ..errors import HubError
from ..system import files
from . import mysql_clients
from .access import Access
from .base import Contents
from .server import Row

STAMP = "alembic_version"
TABLES, TRIGGERS, ROUTINES, REVISION = PARTS = ("tables", "triggers", "routines", "revision")
ARGUMENTS = (
    *("--single-transaction", "--quick", "--hex-blob", "--skip-lock-tables", "--skip-add-locks"),
    # Two dumps of the same database are the same.
    *("--skip-dump-date", "--no-tablespaces"),
)
#: Of MySQL's program alone, which else asks the server for what MariaDB's does not have.
ARGUMENTS_OF_MYSQL = ("--column-statistics=0", "--set-gtid-purged=OFF")
#: The first line of newer dumps, which older clients refuse.
SANDBOX = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/ ?")
COMPLETE = b"-- Dump completed"
_NAME = rb"`((?:[^`]|``)*)`"
_TABLE = re.compile(rb"CREATE TABLE " + _NAME)
_INSERT = re.compile(rb"INSERT INTO " + _NAME + rb" (?:\((?:" + _NAME + rb"(?:, )?)+\) )?VALUES\s?")
_TEXT = re.compile(rb"'(?:[^'\\]|\\.)*'", re.DOTALL)
_REVISION = re.compile(rb"\('([^']*)'\)")


def write(access: Access, target: Path, foreign: Sequence[Row], timeout: float) -> None:
    """Dump the database into a new file, complete or not there at all; ``timeout`` in seconds.

    ``foreign`` are kind and name of what the hub's user cannot make again: views are left out, and all
    routines or events where there is one of that kind.

    Raises HubError when it cannot be read, or the folder has no space.
    """
    database = access.database
    own = (*_without(database, [STAMP]), *_views(database, foreign), database)
    what = {
        TABLES: ("--skip-triggers", *own),
        TRIGGERS: ("--no-create-info", "--no-data", "--triggers", *own),
        ROUTINES: (*_only_routines(foreign), database),
        REVISION: (database, STAMP),
    }
    with files.scratch(target) as part:
        with part.open("r+b") as file:
            file.write(header([0] * len(PARTS)))
            ends = []
            for name in PARTS:
                ends.append(_append(access, what[name], file, timeout))
            file.seek(0)
            file.write(header(ends))
        files.rename(part, target)


def header(ends: Sequence[int]) -> bytes:
    """The first line of a dump, always of the same length: where its parts end, counted in bytes."""
    return f"-- Parts of this dump end at {' '.join(f'{end:015d}' for end in ends)}.\n".encode()


def schema(access: Access, target: IO[bytes], foreign: Sequence[Row], timeout: float) -> None:
    """Write the text of everything that `write` writes but the rows; the same text for the same schema."""
    own = (*_views(access.database, foreign), *_code(foreign))
    _append(access, ("--no-data", "--triggers", *own, access.database), target, timeout)


def routines(access: Access, target: IO[bytes], foreign: Sequence[Row], timeout: float) -> None:
    """Write what the part of a dump with routines and events would be."""
    _append(access, (*_only_routines(foreign), access.database), target, timeout)


def _only_routines(foreign: Sequence[Row]) -> tuple[str, ...]:
    return ("--no-create-info", "--no-data", "--skip-triggers", *_code(foreign))


def _code(foreign: Sequence[Row]) -> list[str]:
    """Which code is dumped: the programs know no single routine or event."""
    kinds = {kind for kind, _name in foreign}
    routines = [] if kinds & {"FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY"} else ["--routines"]
    return [*routines, *([] if "EVENT" in kinds else ["--events"])]


def _views(database: str, foreign: Sequence[Row]) -> list[str]:
    return _without(database, [str(name) for kind, name in foreign if kind == "VIEW"])


def _without(database: str, tables: Iterable[str]) -> list[str]:
    return [f"--ignore-table={database}.{name}" for name in tables]


def _append(access: Access, arguments: tuple[str, ...], file: IO[bytes], timeout: float) -> int:
    """Append a dump to a file; where it ends then."""
    file.flush()
    start = file.seek(0, os.SEEK_END)
    program = mysql_clients.need("dump", access.context().path)
    of_product = ARGUMENTS_OF_MYSQL if program.product == mysql_clients.MYSQL else ()
    mysql_clients.run(access, "dump", (*ARGUMENTS, *of_product, *arguments), target=file, timeout=timeout)
    end = file.seek(0, os.SEEK_END)
    sandbox = SANDBOX.match(os.pread(file.fileno(), 100, start))
    if sandbox:
        os.pwrite(file.fileno(), b"--" + b" " * (len(sandbox[0]) - 2), start)
    return end


def contents(dump: Path) -> Contents:
    """Read a dump from end to end. Raises HubError when it is damaged or not complete."""
    rows: dict[str, int] = {}
    revision = None
    for name in (TABLES, REVISION):
        table = ""
        with dump.open("rb") as file:
            for line in _lines(file, *_part(dump, name)):
                made, inserted = _TABLE.match(line), _INSERT.match(line)
                if made:
                    rows[_plain(made[1])] = 0
                elif inserted or line.startswith(b"("):
                    table = _plain(inserted[1]) if inserted else table
                    values = _TEXT.sub(b"", line[inserted.end() :] if inserted else line).strip()
                    rows[table] = rows.get(table, 0) + (values.count(b"),(") + 1 if values else 0)
                    if table == STAMP:
                        found = _REVISION.search(line)
                        revision = found[1].decode() if found else revision
    return Contents(revision, rows)


def text(dump: Path, name: str) -> bytes:
    """One part of a dump, as the program has written it."""
    start, end = _part(dump, name)
    with dump.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def feed(access: Access, dump: Path, first: str, last: str, lock_seconds: float, timeout: float) -> None:
    """Have the database take in these parts, and those between them.

    Raises HubError with the server's reason.
    """
    start, end = _part(dump, first)[0], _part(dump, last)[1]
    arguments = (
        *("--binary-mode", "--batch", "--skip-reconnect", f"--max-allowed-packet={1 << 30}"),
        f"--init-command=SET SESSION lock_wait_timeout = {max(1, int(lock_seconds))}",
        access.database,
    )
    with dump.open("rb", buffering=0) as file, Path(os.devnull).open("wb") as nothing:
        file.seek(start)
        # A client reads its input to the end, and the part may end before.
        with subprocess.Popen(["head", "-c", str(end - start)], stdin=file, stdout=subprocess.PIPE) as head:
            mysql_clients.run(
                access, "client", arguments, source=head.stdout, target=nothing, timeout=timeout
            )


def require_whole(dump: Path) -> None:
    """Raise HubError where a dump is not complete."""
    _part(dump, REVISION)


def _part(dump: Path, name: str) -> tuple[int, int]:
    """Where a part begins and ends. Raises HubError where the dump is not whole."""
    with dump.open("rb") as file:
        header = file.readline(1000)
        numbers = [int(number) for number in re.findall(rb"\b\d{15}\b", header)]
        ends = [len(header), *numbers]
        whole = len(numbers) == len(PARTS) and ends == sorted(ends) and ends[-1] == dump.stat().st_size
        for end in numbers if whole else ():
            file.seek(max(end - 100, 0))
            whole = whole and COMPLETE in file.read(100)
    if not whole:
        raise HubError(f"The dump {dump} is not complete.", "Take another recovery point.")
    number = PARTS.index(name)
    return ends[number], ends[number + 1]


def _lines(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end:
        line = file.readline()
        start += len(line)
        yield line


def _plain(name: bytes) -> str:
    return name.replace(b"``", b"`").decode("utf-8", "surrogateescape")
