"""What databases that a server has share: read and changed through the server's own client programs.

Python's standard library alone speaks to no server. What differs from server to server (its SQL, its clients,
how a dump is made and brought back) is in the file of its kind.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import secrets
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Optional, Tuple

from ..errors import HubError
from ..system import files
from ..system.execution_context import ExecutionContext
from . import hub_tables, scratch_folders, urls
from .access import Access, CopiesConfig, DatabaseConfig
from .base import Contents, Database, DatabaseCopy, Keys, Since, TableChange
from .facts import DatabaseBackup, DatabaseFacts
from .health import SHOWN_NAMES, ahead_of

#: A row as clients print it: everything is text, None is SQL's NULL.
Row = Tuple[Optional[str], ...]
#: The dumps made while the hub serves and after it has stopped; the manifest names the one that counts.
NAMES = ("database.dump", "sealed.dump")
#: Seconds that a statement waits for a lock, unless said otherwise: programs in the hub's environment, too.
LOCK_SECONDS = 30
#: In the name of each database for copies, so that no other one is emptied.
SCRATCH = "scratch"
#: Bytes that the name of a database may have.
LONGEST_NAME = 63
READ_SECONDS = 600
COPY_SECONDS = 1800
LOOK_SECONDS = 1.0
#: What is reserved on the server: 16 MiB in so many rows and statements, whose length servers limit.
ROW_BYTES = 8192
ROWS = 2048
STATEMENTS = 32
#: A session that is ended takes back first what it has written.
END_SECONDS = 10.0


class Column(NamedTuple):
    """A column of a table."""

    name: str
    in_key: bool
    """Whether it is one of the primary key."""


class ServerDatabase(Database):
    """A database that a server has."""

    needs_access = True
    #: As URLs of this kind begin.
    dialects: tuple[str, ...]

    def __init__(self, access: Access, name: str) -> None:
        self.access = access
        self._name = name

    @classmethod
    def of(cls, facts: DatabaseFacts, access: Access | None) -> ServerDatabase:
        if access is None:
            raise AssertionError("A server's database is reached with an access.")
        return cls(access, facts.name)

    @property
    def name(self) -> str:
        return self._name

    @classmethod
    def access_of(cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access:
        access, copies = cls.own_access(config, context, sqlalchemy), config.copies or CopiesConfig()

        def other(url: str) -> Access:
            found = cls.own_access(DatabaseConfig(url), context, sqlalchemy)
            if urls.parse(url).dialect not in cls.dialects:
                raise HubError(
                    f"{urls.mask(url)} is not of the kind of the hub's database.",
                    "Correct jupyterhub_scratch_database_url, or jupyterhub_database_admin_url.",
                )
            return replace(found, dialect=access.dialect, driver=access.driver)

        scratch = other(copies.scratch_url) if copies.scratch_url else None
        if scratch and (SCRATCH not in scratch.database or scratch.database == access.database):
            raise HubError(
                f"{urls.mask(copies.scratch_url)} may be more than a database for copies, which are emptied.",
                f"Name one whose name has '{SCRATCH}' in it, in jupyterhub_scratch_database_url.",
            )
        return replace(access, scratch=scratch, maker=other(copies.admin_url) if copies.admin_url else None)

    # What each kind fills in, besides `find`, `url`, `contents` and `exists`

    @abstractmethod
    def read(self, queries: Sequence[str], timeout: float = LOCK_SECONDS) -> list[list[Row]]:
        """The rows that each query yields, all of them in one transaction that writes nothing.

        ``timeout`` is the number of seconds to wait for a lock, here as below. Raises HubError when the
        server cannot be reached or refuses.
        """

    @abstractmethod
    def run(self, statements: Sequence[str], timeout: float = LOCK_SECONDS) -> None:
        """Carry out statements, in one transaction as far as there is such a thing. HubError as `read`."""

    @abstractmethod
    def columns(self) -> dict[str, list[Column]]:
        """The columns of each table of the hub's that can be read, in their order."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """A name, as it is written in SQL."""

    @abstractmethod
    def digest(self, columns: Sequence[str]) -> str:
        """An SQL expression: text by which the content of these columns is told from any other."""

    @abstractmethod
    def dump(self, target: Path, timeout: float = LOCK_SECONDS) -> None:
        """Write all of it that is the hub's into a new file, as it was at one moment.

        Raises HubError when it cannot be read, or the file's folder has no space; then there is no such file.
        """

    @abstractmethod
    def contents_of(self, dump: Path) -> Contents:
        """Read a dump from end to end. Raises HubError when it is damaged or not complete."""

    @abstractmethod
    def replace_with(self, dump: Path) -> None:
        """Have this database hold what the dump does, and nothing else of the hub's.

        May be interrupted and repeated: what is half done has another revision, or none. Raises HubError.
        """

    @classmethod
    @abstractmethod
    def own_access(cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access:
        """The access of the database that a URL names, and of nothing else."""

    @abstractmethod
    def at(self, access: Access) -> ServerCopy:
        """Another database, which need not exist, for a copy of this one."""

    @abstractmethod
    def sessions(self) -> dict[str, str]:
        """The sessions in it that are not the hub's: number and description. Raises HubError as `read`."""

    @abstractmethod
    def end_session(self, number: str) -> None:
        """End a session. Raises HubError where that is not allowed, or it has ended by itself."""

    @abstractmethod
    def make_empty(self) -> None:
        """Have this database exist, with nothing in it. Raises HubError that says what it takes."""

    @abstractmethod
    def remove(self) -> None:
        """Remove this database; where the hub's role could not make it again, only what is in it."""

    # What is the same for all

    def health(self, contents: Contents) -> dict[str, Any]:
        """What an upgrade has to know of its content, under the names of `DatabaseFacts`."""
        columns = {name: [column.name for column in found] for name, found in self.columns().items()}
        queries = {
            "servers": ("spawners", "server_id", "SELECT count(*) FROM spawners WHERE server_id IS NOT NULL"),
            "server_names": (
                "spawners",
                "name",
                f"SELECT DISTINCT name FROM spawners WHERE name <> '' ORDER BY name LIMIT {SHOWN_NAMES}",
            ),
            "encrypted": (
                "users",
                "encrypted_auth_state",
                "SELECT count(*) FROM users WHERE encrypted_auth_state IS NOT NULL",
            ),
        }
        known = {
            name: query
            for name, (table, column, query) in queries.items()
            if column in columns.get(table, [])
        }
        found = dict(zip(known, self.read(list(known.values())))) if known else {}
        [[servers]], [[encrypted]] = (found.get(name, [("0",)]) for name in ("servers", "encrypted"))
        return {
            "revisions": contents.rows.get("alembic_version", 0),
            "ahead": ahead_of(contents.revision, columns),
            "servers": int(servers or 0),
            "server_names": [str(name) for (name,) in found.get("server_names", [])],
            "encrypted": int(encrypted or 0),
        }

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.exists()
                return
            except HubError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)

    def progress(self) -> object:
        """Statements that wait for a lock end by themselves, so what runs gets on."""
        return time.monotonic()

    def users(self) -> set[str]:
        [found] = self.read(["SELECT name FROM users"])
        return {str(name) for (name,) in found}

    def servers(self) -> list[str]:
        [found] = self.read([hub_tables.REGISTERED_SERVERS])
        return [hub_tables.server_label(str(user), str(name or "")) for user, name in found]

    @property
    def scratch_folder(self) -> Path:
        name = self.access.database.replace("/", "_")
        return Path(self.access.directory, f"{name}{scratch_folders.SUFFIX}")

    @property
    def scratch_name(self) -> str:
        """The database that rehearsals use: always the same, so that nothing can pile up.

        Where the hub's role may not make databases, an administrator has made this one for good.
        """
        return self.name_beside("scratch")

    @abstractmethod
    def beside(self, name: str) -> ServerCopy:
        """Another database on the same server, as `at`."""

    @property
    @abstractmethod
    def scratch_copy(self) -> ServerCopy:
        """The copy that rehearsals and tests work on: an administrator's, or the one of `scratch_name`."""

    def name_beside(self, purpose: str) -> str:
        """The name of a database for a purpose, which cannot be confused with one of somebody else's."""
        suffix = f"_hubops_{purpose}"
        own = self.access.database
        if len((own + suffix).encode()) > LONGEST_NAME:
            own = f"{own[:20]}_{hashlib.sha256(own.encode()).hexdigest()[:8]}"
        return own + suffix

    @contextlib.contextmanager
    def scratch(self, context: ExecutionContext) -> Iterator[Path]:
        with scratch_folders.scratch(self.scratch_folder, context) as folder:
            try:
                yield folder
            finally:
                self.scratch_copy.remove()

    def remove_scratch(self) -> None:
        with scratch_folders.taken(self.scratch_folder):
            self.scratch_copy.remove()

    def copy(self, scratch: Path, context: ExecutionContext, name: str) -> DatabaseCopy:
        dump = scratch / f"{name}.dump"
        copy = self.scratch_copy
        self.dump(dump)
        try:
            copy.make_empty()
            copy.replace_with(dump)
        finally:
            dump.unlink()
        return copy

    def back_up(self, folder: Path, timeout: float) -> DatabaseBackup:
        return self._dumped(folder / NAMES[0], timeout, sealed=False)

    def end_sessions(self) -> list[str]:
        before = self.sessions()
        for number in before:
            with contextlib.suppress(HubError):
                self.end_session(number)
        deadline, left = time.monotonic() + END_SECONDS, before
        while before.keys() & left.keys() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS / 10)
            left = self.sessions()
        return [described for number, described in before.items() if number not in left]

    def prepare_seal(self, folder: Path, backup: DatabaseBackup) -> None:
        """A dump is written anew."""

    def seal(self, folder: Path, backup: DatabaseBackup, timeout: float) -> DatabaseBackup:
        other = next(name for name in NAMES if name != backup.file)
        return self._dumped(folder / other, timeout, sealed=True)

    def _dumped(self, target: Path, timeout: float, sealed: bool) -> DatabaseBackup:
        self.dump(target, timeout)
        # Of a hub that writes, only the dump itself knows what is in it.
        found = self.contents(timeout) if sealed else self.contents_of(target)
        return DatabaseBackup(
            kind=self.kind,
            name=self.name,
            file=target.name,
            sha256=files.sha256(target),
            bytes=target.stat().st_size,
            revision=found.revision,
            rows=found.rows,
            sealed=sealed,
            particulars=self.particulars(),
        )

    @abstractmethod
    def particulars(self) -> dict[str, Any]:
        """What of this database no dump holds, and a restore has to put back: owner, grants, settings."""

    def remove_other_copies(self, folder: Path, backup: DatabaseBackup) -> None:
        for name in NAMES:
            if name != backup.file:
                (folder / name).unlink(missing_ok=True)

    def discard(self, folder: Path, backup: DatabaseBackup) -> None:
        """A dump is in the folder."""

    def is_as_backed_up(self, backup: DatabaseBackup) -> bool:
        """Unknown: a server does not tell whether anything was written. Restoring it then changes nothing."""
        return False

    def restore(self, folder: Path, backup: DatabaseBackup, aside: Path) -> None:
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(HubError):
            # One that is half migrated, half restored or gone need not be readable.
            self.dump(aside / NAMES[0])
        self.replace_with(folder / backup.file)

    def space_for_restore(self, backup: DatabaseBackup) -> tuple[Path, int] | None:
        """The server's disk is not this host's."""
        return None

    def reserve(self) -> None:
        """In the copy that rehearsals use, which the end of a run removes in any case."""
        copy = self.scratch_copy
        # Random, so that no server can make it smaller.
        values = (f"('{secrets.token_hex(ROW_BYTES // 2)}')" for _row in range(ROWS))
        parts = (", ".join(itertools.islice(values, ROWS // STATEMENTS)) for _statement in range(STATEMENTS))
        try:
            copy.make_empty()
            copy.run(
                ["CREATE TABLE reserve (filler TEXT)", *map("INSERT INTO reserve VALUES {}".format, parts)]
            )
        except HubError as error:
            raise HubError(
                f"On the server of {self.name} is no space for a restore, {ROWS * ROW_BYTES:,} bytes. "
                f"{error.message}",
                error.hint or "Make space there.",
            ) from error

    def release_reserve(self) -> None:
        # First the table: with no space at all, PostgreSQL does not survive the removal of a database.
        with contextlib.suppress(HubError):
            self.scratch_copy.run(["DROP TABLE IF EXISTS reserve"])
        # The hub's own database, from which others are removed, may be gone. A comparison or a rehearsal that
        # has taken the copy meanwhile removes it itself.
        with contextlib.suppress(HubError, OSError):
            self.remove_scratch()

    def prove(self, folder: Path, backup: DatabaseBackup) -> Contents:
        return self.contents_of(folder / backup.file)

    @contextlib.contextmanager
    def restored_copy(
        self, folder: Path, backup: DatabaseBackup, context: ExecutionContext
    ) -> Iterator[Database]:
        with self.scratch(context), self.opened(folder, backup) as copy:
            yield copy

    @contextlib.contextmanager
    def opened(self, folder: Path, backup: DatabaseBackup) -> Iterator[ServerDatabase]:
        """A database with the content of a backup; within `scratch`."""
        copy = self.scratch_copy
        copy.make_empty()
        copy.replace_with(folder / backup.file)
        yield copy

    def since(self, folder: Path, backup: DatabaseBackup) -> Since:
        with self.scratch(self.access.context()), self.opened(folder, backup) as then:
            return since(self, then)


class ServerCopy(ServerDatabase, DatabaseCopy):
    """A copy of a server's database, for a rehearsal or a test."""

    @property
    @abstractmethod
    def is_lasting(self) -> bool:
        """Whether an administrator has made the database for it, so that it is emptied and never removed."""

    def require_usable(self) -> None:
        """Raise HubError where the database that an administrator has named cannot be used."""
        try:
            self.read(["SELECT 1"])
        except HubError as error:
            raise HubError(
                f"{self.name[0].upper()}{self.name[1:]} cannot be used. {error.message}", error.hint
            ) from error

    def keys(self) -> dict[str, Keys]:
        there = self.columns()
        wanted = {
            table: tuple(name for name in names if name in {column.name for column in there.get(table, [])})
            for table, names in hub_tables.KEYS.items()
        }
        wanted = {table: columns for table, columns in wanted.items() if columns}
        queries = [
            f"SELECT {', '.join(map(self.quoted, columns))} FROM {self.quoted(table)}"
            for table, columns in wanted.items()
        ]
        found = self.read(queries, READ_SECONDS)
        return {table: Keys(columns, set(rows)) for (table, columns), rows in zip(wanted.items(), found)}

    def forget_servers(self) -> None:
        there = self.columns()
        statements = [hub_tables.SERVERS_OF_SERVICES]
        statements += [f"DELETE FROM {self.quoted(name)}" for name in hub_tables.SERVERS if name in there]
        self.run(statements)

    def users_with_auth_state(self, count: int) -> list[str]:
        [found] = self.read([hub_tables.users_with_auth_state(count)])
        return [str(name) for (name,) in found]


def since(present: ServerDatabase, kept: ServerDatabase) -> Since:
    """Compare a database, which may be in use and of a newer schema, with an earlier copy of it.

    Rows are identified by their keys, and compared by the columns that both know. Raises HubError when either
    cannot be read.
    """
    now, then = present.columns(), kept.columns()
    names = sorted(now.keys() - hub_tables.PASSING)
    wanted = [_shared(now[name], then.get(name, now[name])) for name in names]
    rows_now = _rows(present, names, wanted, {name: {each.name for each in now[name]} for name in names})
    known = [name for name in names if name in then]
    rows_then = dict(zip(known, _rows(kept, known, [wanted[names.index(name)] for name in known], {})))
    tables, newest, users = {}, {}, []
    for name, rows in zip(names, rows_now):
        old = rows_then.get(name, {})
        new = [row for key, row in rows.items() if key not in old and row.is_peoples]
        changed = [
            row
            for key, row in rows.items()
            if key in old and old[key].digest != row.digest and row.is_peoples
        ]
        tables[name] = TableChange(len(rows), len(old), len(new), len(changed))
        if name in then:
            newest[name] = max((row.created for row in new), default="")
            users += sorted(row.name for row in new if name == "users")
    return Since.of(tables, users, newest)


class _Compared(NamedTuple):
    """What of one row is compared."""

    digest: str
    is_peoples: bool
    created: str
    name: str


class _Shared(NamedTuple):
    """The columns that tell a table's rows apart, and those whose content both databases know."""

    key: list[str]
    common: list[str]


def _shared(now: Sequence[Column], then: Sequence[Column]) -> _Shared:
    known = {column.name for column in then}
    common = [column for column in now if column.name in known and column.name not in hub_tables.ACTIVITY]
    key = [column.name for column in common if column.in_key]
    names = [column.name for column in common]
    return _Shared(key or names, names)


def _rows(
    database: ServerDatabase, tables: Sequence[str], shared: Sequence[_Shared], columns: dict[str, set[str]]
) -> list[dict[str, _Compared]]:
    """The rows of each table by their keys; ``columns`` are those that decide whose rows they are."""
    queries = []
    for table, (key, common) in zip(tables, shared):
        there = columns.get(table, set())
        created = next((name for name in hub_tables.CREATED if name in there), None)
        queries.append(
            f"SELECT {database.digest(key)}, {database.digest(common)}, "
            f"CASE WHEN {hub_tables.is_peoples(table, there)} THEN 1 ELSE 0 END, "
            f"{database.quoted(created) if created else 'NULL'}, {'name' if table == 'users' else 'NULL'} "
            f"FROM {database.quoted(table)}"
        )
    found = database.read(queries, READ_SECONDS) if queries else []
    return [
        {
            str(key): _Compared(str(digest), mine == "1", created or "", name or "")
            for key, digest, mine, created, name in rows
        }
        for rows in found
    ]
