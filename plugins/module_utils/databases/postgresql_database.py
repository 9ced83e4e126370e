"""PostgreSQL as the hub's database.

The stopped hub's database is copied by the server itself, and restored by renaming databases: exact, with all
owners and grants, in seconds. Where the hub's role may not do that, or others are connected, a dump takes the
place of that copy; it is brought back in one transaction.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ..errors import HubError
from ..system import files
from ..system.execution_context import ExecutionContext
from . import postgresql_access, urls
from . import postgresql_statements as sql
from .access import Access, DatabaseConfig
from .base import Contents
from .facts import DatabaseBackup, DatabaseFacts, ServerFacts
from .postgresql_clients import (
    APPLICATION,
    PACKAGE,
    PROGRAMS,
    READ_ONLY,
    ROWS,
    SECTIONS,
    Clients,
    available,
    major,
    parsed,
)
from .server import LOCK_SECONDS, NAMES, Column, Row, ServerCopy, ServerDatabase

#: Databases that every server has: where to ask for another one that is not there.
EVERYWHERE = ("postgres", "template1")
#: In the particulars of a backup: the database on the server that is the copy.
COPY = "copy"
#: A database of more bytes is copied by its files, which need not pass through the server's log.
LARGE_BYTES = 256 * 1024 * 1024
#: A dump's statements about a schema, which may be somebody else's here.
_OF_SCHEMA = re.compile(
    rb"CREATE SCHEMA (?P<made>\S+);\n|ALTER SCHEMA (\S+) OWNER |COMMENT ON SCHEMA (\S+) IS |"
    rb"(?:GRANT|REVOKE) \S+ ON SCHEMA (\S+) "
)
#: What servers before 17 do not know, and what only an extension's owner may say.
_LEFT_OUT = (b"SET transaction_timeout ", b"COMMENT ON EXTENSION ")
_ROWS_OF = re.compile(rb"COPY (?P<table>.+?) \(.*\) FROM stdin;\n")
_END_OF_ROWS = b"\\.\n"


class PostgresqlDatabase(ServerDatabase):
    """A database of a PostgreSQL server."""

    kind = "postgresql"
    dialects = postgresql_access.DIALECTS

    def __init__(self, access: Access, name: str, origin: PostgresqlDatabase | None = None) -> None:
        super().__init__(access, name)
        self.origin = origin or self
        """The hub's own database: from there others are made and removed."""

    @classmethod
    def find(
        cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str, timeout: float
    ) -> DatabaseFacts | None:
        if urls.parse(config.url).dialect not in postgresql_access.DIALECTS:
            return None
        access = cls.access_of(config, context, sqlalchemy)
        programs = available(access)
        server = ServerFacts(
            "PostgreSQL",
            clients=dict.fromkeys(PROGRAMS, programs[0].version if programs else ""),
            package=PACKAGE,
        )
        facts = DatabaseFacts(
            cls.kind, urls.mask(config.url), exists=True, server=server, driver=access.driver
        )
        try:
            return cls(access, facts.name).examined(facts, server)
        except HubError as error:
            return replace(facts, problem=str(access.explained(error, postgresql_access.FILES)))

    @classmethod
    def own_access(cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access:
        return postgresql_access.access_of(config, context, sqlalchemy)

    def examined(self, facts: DatabaseFacts, server: ServerFacts) -> DatabaseFacts:
        """The facts, with what the server says of the database. Raises HubError where it cannot be asked."""
        self._require_no_pooler()
        known, (sessions, views, foreign) = self._ask(self._sessions, sql.VIEWS, sql.FOREIGN)
        too_old = max(map(major, server.clients.values())) < known.major
        described = replace(
            server,
            version=known.version,
            package=f"{PACKAGE}-{known.major}" if too_old else PACKAGE,
            clients_too_old=too_old,
            by_copy=known.may_copy,
            sessions=[_session(row) for row in sessions],
            may_end_sessions=bool(sessions) and self._may_end(sessions),
            views=[f"{view} (reads {tables})" for view, tables in views],
            foreign_tables=[f"{table} ({owner}'s)" for table, owner in foreign],
            no_copies="" if self._may_be_copied() else self._remedy(known.role),
        )
        contents = self.contents()
        return replace(
            facts,
            bytes=known.bytes,
            server=described,
            revision=contents.revision,
            rows=contents.rows,
            **self.health(contents),
        )

    def _require_no_pooler(self) -> None:
        """Refuse what lets a session choose neither how long it waits for a lock, nor its database."""
        try:
            access = postgresql_access.patient(self.access, LOCK_SECONDS)
            [[(seconds,)]] = Clients(access).rows(["SELECT current_setting('lock_timeout')"])
        except HubError as error:
            if "unsupported startup parameter" not in error.message:
                raise
            seconds = None
        if seconds != f"{LOCK_SECONDS}s":
            raise HubError(
                f"{self.name} is reached through a pooler of connections, such as PgBouncer, which takes no "
                "options of a session.",
                "Name the server itself in c.JupyterHub.db_url, and restart the hub.",
            )

    def _may_end(self, sessions: Sequence[Row]) -> bool:
        [[(role, may_end_all)]] = self.maker.read([sql.MAY_END_SESSIONS])
        return may_end_all == "t" or all(row[1] == role for row in sessions)

    def sessions(self) -> dict[str, str]:
        [found] = self.read([self._sessions])
        return {str(row[0]): _session(row) for row in found}

    def end_session(self, number: str) -> None:
        self.maker.clients.psql([f"SELECT pg_terminate_backend({number});"])

    def _may_be_copied(self) -> bool:
        copy = self.scratch_copy
        if copy.is_lasting:
            copy.require_usable()
            return True
        return self.maker._ask()[0].may_create or copy.is_there()

    def _remedy(self, role: str) -> str:
        """What an administrator of the server runs so that copies can be made."""
        scratch = sql.quoted(self.scratch_name)
        return f"CREATE DATABASE {scratch} OWNER {sql.quoted(role)};"

    @property
    def _own_names(self) -> list[str]:
        """How sessions of the hub, and ours, are called on the server."""
        configured = self.access.options.get("application_name") or self.access.variables.get("PGAPPNAME")
        return ["", APPLICATION, *([configured] if configured else [])]

    @property
    def _sessions(self) -> str:
        return sql.sessions(self._own_names)

    def _ask(self, *queries: str) -> tuple[sql.Server, list[list[Row]]]:
        """What the server is, and the rows of queries."""
        [[server], *found] = self.read([sql.SERVER, *queries])
        return sql.Server.of(server), found

    # The hooks of ServerDatabase

    @property
    def clients(self) -> Clients:
        return Clients(self.access)

    def read(self, queries: Sequence[str], timeout: float = LOCK_SECONDS) -> list[list[Row]]:
        return self.clients.rows(queries, _patient(timeout))

    def run(self, statements: Sequence[str], timeout: float = LOCK_SECONDS) -> None:
        script = [f"{command};" for command in statements]
        self.clients.psql(["BEGIN;", *_patient(timeout), *script, "COMMIT;"])

    def contents(self, timeout: float = LOCK_SECONDS) -> Contents:
        script = [READ_ONLY, *_patient(timeout), *sql.count_rows(), "COMMIT;"]
        rows = [parsed(line) for line in self.clients.psql(script).split("\n")[:-1]]
        revisions = [value for name, value in rows if name is None]
        return Contents(
            revisions[0] if revisions else None,
            {name: int(value or 0) for name, value in rows if name is not None},
        )

    def columns(self) -> dict[str, list[Column]]:
        [rows] = self.read([sql.COLUMNS])
        found: dict[str, list[Column]] = {}
        for table, column, in_key in rows:
            found.setdefault(str(table), []).append(Column(str(column), in_key == "t"))
        return found

    def quoted(self, name: str) -> str:
        return ".".join(map(sql.quoted, name.split(".", 1)))

    def digest(self, columns: Sequence[str]) -> str:
        return f"md5(ROW({', '.join(map(sql.quoted, columns))})::text)"

    def url(self, sqlalchemy: str) -> str:
        return postgresql_access.url_of(self.access, sqlalchemy, LOCK_SECONDS)

    def exists(self) -> bool:
        try:
            self.read(["SELECT 1"])
        except HubError:
            return self._is_known_to_server()
        return True

    def _is_known_to_server(self) -> bool:
        """Whether the server has this database. Raises HubError where no database of it can be reached."""
        query = sql.exists(self.access.database)
        first, second = map(self.beside, EVERYWHERE)
        try:
            [found] = first.read([query])
        except HubError:
            [found] = second.read([query])
        return bool(found)

    def is_there(self) -> bool:
        """Whether the server has this database, asked from the hub's."""
        [found] = self.origin.read([sql.exists(self.access.database)])
        return bool(found)

    def at(self, access: Access) -> PostgresqlCopy:
        return PostgresqlCopy(access, f"the copy {access.database} of {self.origin.name}", self.origin)

    def beside(self, name: str) -> PostgresqlCopy:
        return self.at(replace(self.access, database=name))

    @property
    def scratch_copy(self) -> PostgresqlCopy:
        return self.at(self.access.scratch or replace(self.access, database=self.scratch_name))

    @property
    def maker(self) -> PostgresqlDatabase:
        """The database from which those for copies are made and removed."""
        access = self.origin.access.maker
        return (
            PostgresqlDatabase(access, f"{access.database} of the administrator") if access else self.origin
        )

    def dump(self, target: Path, timeout: float = LOCK_SECONDS) -> None:
        server, [excluded] = self._ask(sql.EXCLUDED)
        arguments = [f"--lock-wait-timeout={timeout:g}s", *sql.exclude(excluded)]
        try:
            with files.scratch(target) as part:
                with part.open("wb") as opened:
                    self.clients.dump(opened, server.major, arguments)
                part.chmod(0o600)
                files.rename(part, target)
        except OSError as error:
            raise HubError(
                f"{target.parent} has no space for a dump: {error.strerror}.", "Make space there."
            ) from error

    def contents_of(self, dump: Path) -> Contents:
        server, [[[schema]]] = self._ask(f"SELECT {sql.HUB_SCHEMA}")
        prefix = f"{schema}."
        rows: dict[str, int] = {}
        revisions: list[str] = []
        with self.clients.script_of(dump, server.major, ROWS) as script:
            for table, count, first in _counted(script):
                name = table[len(prefix) :] if table.startswith(prefix) else table
                rows[name] = count
                if name == "alembic_version":
                    revisions.append(first)
        return Contents(revisions[0] if revisions else None, rows)

    def replace_with(self, dump: Path) -> None:
        clients = self.clients
        server, [there] = self._ask(sql.FOREIGN_SCHEMAS)
        [of_others] = self.origin.read([sql.FOREIGN_SCHEMAS])
        all_of_others = _schemas([*there, *of_others])
        before = ["BEGIN;", *_patient(LOCK_SECONDS), *sql.DROP_ALL]
        with clients.session() as session:
            session.write("\n".join(before).encode() + b"\n")
            for section in SECTIONS:
                with clients.script_of(dump, server.major, section, self.restore_options) as script:
                    if section == ROWS:
                        session.writelines(_begin(script))
                        shutil.copyfileobj(script, session)
                    else:
                        session.writelines(_fitting(script, _schemas(there), all_of_others))
            session.write(b"COMMIT;\n")

    @property
    def restore_options(self) -> list[str]:
        """pg_restore's options beside those that say what is restored."""
        return []

    def make_empty(self) -> None:
        raise AssertionError("The hub's own database is never emptied.")

    def remove(self) -> None:
        raise AssertionError("The hub's own database is never removed.")

    def particulars(self) -> dict[str, Any]:
        """What hangs on the database itself: its owner, grants and settings."""
        [[[owner, limit, comment]], grants, settings] = self.read(sql.settings(self.access.database))
        return {
            "owner": owner,
            "limit": int(limit or -1),
            "comment": comment,
            "grants": [list(each) for each in grants],
            "settings": [list(each) for each in settings],
        }

    # By a copy on the server

    def seal(self, folder: Path, backup: DatabaseBackup, timeout: float) -> DatabaseBackup:
        copy = self._copy_of(folder)
        server, [sessions] = self._ask(self._sessions)
        if server.may_copy and not sessions:
            with contextlib.suppress(HubError):
                # Sessions of the hub that has just stopped are waited for by the server, for some seconds.
                self.clients.psql(
                    [
                        sql.drop(copy.access.database),
                        sql.CLONE_FILES,
                        self._copied(copy.access.database, server),
                        sql.make_private(copy.access.database),
                    ]
                )
                found = copy.contents(timeout)
                particulars = {**backup.particulars, COPY: copy.access.database}
                return replace(
                    backup, revision=found.revision, rows=found.rows, sealed=True, particulars=particulars
                )
        return super().seal(folder, backup, timeout)

    def _copied(self, name: str, server: sql.Server, by_files: bool = False) -> str:
        """The statement that copies this database, or another one that the session is in."""
        by_files = by_files or server.bytes > LARGE_BYTES
        return sql.create_from(
            name, self.access.database, server.owner, by_files=by_files and server.major >= 15
        )

    def _copy_of(self, folder: Path) -> PostgresqlCopy:
        """The database that is the copy of a recovery point."""
        return self.beside(self.name_beside(folder.name[:16].lower()))

    def restore(self, folder: Path, backup: DatabaseBackup, aside: Path) -> None:
        copy = self._kept_copy(backup)
        if copy is None:
            super().restore(folder, backup, aside)
            return
        try:
            copy.take_the_place_of(self)
        except HubError as error:
            # Somebody is connected: what is in it can be replaced nevertheless.
            dump = folder / NAMES[1]
            copy.dump(dump)
            try:
                super().restore(folder, replace(backup, file=dump.name), aside)
            except HubError as second:
                # Both need space for another database. What has failed gives its own, and the copy remains.
                try:
                    copy.take_the_place_of(self, keeps_it=False)
                except HubError:
                    raise HubError(f"{second.message} {error.message}", second.hint) from error
            finally:
                dump.unlink()

    def _kept_copy(self, backup: DatabaseBackup) -> PostgresqlCopy | None:
        name = backup.particulars.get(COPY)
        return self.beside(name) if name else None

    def take_the_place_of(self, database: PostgresqlDatabase, keeps_it: bool = True) -> None:
        """Have a copy of this one be that database, which is kept under a name that begins as this one's.

        From a session in this one: that database need not be there. Where it is not kept, it is removed
        first, so that its space is free.
        """
        own, name = self.access.database, database.access.database
        server, [kept] = self._ask(sql.databases_like(f"{own}_"))
        there = [row[0] for row in kept]
        new = f"{own}_new"
        aside = next(name for name in map(f"{own}_{{}}".format, itertools.count(1)) if name not in there)
        end_sessions = sql.end_sessions(name, self._own_names)
        make_space = [] if keeps_it else [end_sessions, sql.drop(name)]
        self.clients.psql(
            [
                sql.drop(new, force=True),
                *make_space,
                sql.CLONE_FILES,
                self._copied(new, server, by_files=not keeps_it),
                end_sessions,
                *sql.swap(new, name, aside),
            ]
        )

    def prove(self, folder: Path, backup: DatabaseBackup) -> Contents:
        copy = self._kept_copy(backup)
        return copy.contents() if copy else super().prove(folder, backup)

    @contextlib.contextmanager
    def opened(self, folder: Path, backup: DatabaseBackup) -> Iterator[ServerDatabase]:
        copy = self._kept_copy(backup)
        if copy:
            yield copy
        else:
            with super().opened(folder, backup) as restored:
                yield restored

    def remove_other_copies(self, folder: Path, backup: DatabaseBackup) -> None:
        super().remove_other_copies(folder, backup)
        if COPY not in backup.particulars:
            self._copy_of(folder).remove_with_replaced()

    def discard(self, folder: Path, backup: DatabaseBackup) -> None:
        self._copy_of(folder).remove_with_replaced()

    def remove_with_replaced(self) -> None:
        """Remove this database, and those that it has replaced, whose names begin with its own."""
        [found] = self.origin.read([sql.databases_like(self.access.database)])
        if found:
            self.origin.clients.psql([sql.drop(str(name)) for (name,) in found])

    # What hangs on the database

    def has_owner_of(self, backup: DatabaseBackup) -> bool:
        return all(backup.particulars[name] == value for name, value in self.particulars().items())

    def give_owner_of(self, backup: DatabaseBackup) -> None:
        now, then, name = self.particulars(), backup.particulars, self.access.database
        if all(then[each] == value for each, value in now.items()):
            return
        database = sql.quoted(name)
        script = [
            *(f"REVOKE ALL ON DATABASE {database} FROM {sql.grantee(role)};" for role in _roles(now)),
            *(
                f"GRANT {right} ON DATABASE {database} TO {sql.grantee(role)}"
                f"{' WITH GRANT OPTION' if grantable == 't' else ''};"
                for role, right, grantable in then["grants"]
            ),
            *(sql.take_setting(name, role, setting) for role, setting, _value in now["settings"]),
            *_settings(name, then["settings"]),
        ]
        if now["limit"] != then["limit"]:
            script.append(f"ALTER DATABASE {database} CONNECTION LIMIT {then['limit']};")
        if now["comment"] != then["comment"]:
            comment = "NULL" if then["comment"] is None else sql.literal(then["comment"])
            script.append(f"COMMENT ON DATABASE {database} IS {comment};")
        if now["owner"] != then["owner"]:
            script.append(f"ALTER DATABASE {database} OWNER TO {sql.quoted(then['owner'])};")
        self.clients.psql(["BEGIN;", *script, "COMMIT;"])


class PostgresqlCopy(PostgresqlDatabase, ServerCopy):
    """Another database, a copy of the hub's: of the same server, unless an administrator has named one."""

    @property
    def is_lasting(self) -> bool:
        return self.access == self.origin.access.scratch

    @property
    def restore_options(self) -> list[str]:
        """Roles of the hub's server need not be those of another one."""
        return ["--no-owner", "--no-privileges"] if self.is_lasting else []

    def make_empty(self) -> None:
        if self._is_only_emptied():
            self._clear()
            return
        name, own = self.access.database, self.origin._ask()[0].role
        found = self.origin.particulars()
        self.maker.clients.psql(
            [
                sql.drop(name, force=True),
                sql.create_like(name, self.origin.access.database),
                sql.make_private(name),
                *_settings(name, [each for each in found["settings"] if each[0] in (None, own)]),
                f"ALTER DATABASE {sql.quoted(name)} OWNER TO {sql.quoted(own)};",
            ]
        )

    def remove(self) -> None:
        if not self._is_only_emptied():
            self.maker.clients.psql([sql.drop(self.access.database, force=True)])
        elif self.is_lasting or self.is_there():
            self._clear()

    def _is_only_emptied(self) -> bool:
        return self.is_lasting or not self.maker._ask()[0].may_create

    def _clear(self) -> None:
        if not self.is_lasting and not self.is_there():
            role = self.origin._ask()[0].role
            raise HubError(
                f"The role {role} may not make databases, so {self.origin.name} cannot be copied.",
                f"As an administrator of the server: {self.origin._remedy(role)}",
            )
        self.clients.psql(["BEGIN;", *sql.DROP_ALL, "COMMIT;"])


def _patient(timeout: float) -> list[str]:
    return [
        f"SET LOCAL lock_timeout = '{int(timeout * 1000)}ms';",
        "SET LOCAL client_min_messages = warning;",
    ]


def _session(row: Row) -> str:
    number, role, program, address, state = row
    parts = [f"{program or 'a program'} of {role}", f"process {number}"]
    parts += [f"from {address}"] if address else []
    return ", ".join([*parts, *([state] if state else [])])


def _settings(database: str, settings: Sequence[Sequence[Any]]) -> list[str]:
    return [
        command for role, name, value in settings for command in sql.give_setting(database, role, name, value)
    ]


def _roles(found: dict[str, Any]) -> list[str | None]:
    return list(dict.fromkeys(role for role, _right, _grantable in found["grants"]))


def _counted(script: IO[bytes]) -> Iterator[tuple[str, int, str]]:
    """Of each table in a dump: ``schema.name``, the number of its rows, and the first row."""
    for line in script:
        begins = _ROWS_OF.fullmatch(line)
        if begins:
            count, first = 0, b""
            for row in script:
                if row == _END_OF_ROWS:
                    break
                first = first or row
                count += 1
            yield _unquoted(begins["table"].decode()), count, first.decode().rstrip("\n")


def _unquoted(table: str) -> str:
    names = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', table)
    return ".".join(quoted.replace('""', '"') or plain for quoted, plain in names)


def _schemas(rows: Sequence[Row]) -> set[bytes]:
    """Names of schemas, as a dump may write them."""
    return {name.encode() for (row,) in rows for name in (str(row), sql.quoted(str(row)))}


def _begin(script: IO[bytes]) -> Iterator[bytes]:
    """The lines that go with any server, up to the first table; a row of it may look like a statement."""
    for line in script:
        if not line.startswith(_LEFT_OUT):
            yield line
        if line.startswith(b"COPY "):
            return


def _fitting(script: IO[bytes], there: set[bytes], of_others: set[bytes]) -> Iterator[bytes]:
    """The lines of a dump's script that go with a database.

    Those about schemas that are ``there``, and remain, or that are ``of_others``, do not.
    """
    for line in script:
        of_schema = _OF_SCHEMA.match(line)
        made, *names = of_schema.groups() if of_schema else (None,)
        if made not in there and not of_others.intersection(names) and not line.startswith(_LEFT_OUT):
            yield line
