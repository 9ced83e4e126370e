"""MySQL and MariaDB as the hub's database: dumped and restored by their own clients.

Every change of a schema is committed by itself, so that a migration or a restore that was cut off is half
done. Grants hang on the names of databases and tables, so a restore keeps these and replaces what they have.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import mysql_access, mysql_clients, mysql_dumps, mysql_tls, urls
from . import mysql_statements as sql
from .access import Access, DatabaseConfig
from .base import Contents
from .facts import DatabaseBackup, DatabaseFacts, ServerFacts
from .server import (
    COPY_SECONDS,
    LOCK_SECONDS,
    LOOK_SECONDS,
    READ_SECONDS,
    Column,
    Row,
    ServerCopy,
    ServerDatabase,
)

#: A hub that nobody uses keeps what it has read, and looks again when it writes its users' activity.
IDLE_HUB_SECONDS = 330.0


class MysqlDatabase(ServerDatabase):
    """A database of a MySQL or MariaDB server."""

    kind = "mysql"
    dialects = mysql_access.DIALECTS

    @classmethod
    def find(
        cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str, timeout: float
    ) -> DatabaseFacts | None:
        parts = urls.parse(config.url)
        if parts.dialect not in mysql_access.DIALECTS:
            return None
        facts = DatabaseFacts(kind=cls.kind, url=urls.mask(config.url), driver=parts.driver)
        access = None
        try:
            access = cls.access_of(config, context, sqlalchemy)
            return cls(access, facts.name).described(facts, timeout)
        except HubError as error:
            found = access.explained(error, mysql_tls.FILES) if access else error
            return replace(facts, exists=True, problem=str(found))

    @classmethod
    def own_access(cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access:
        return mysql_access.access_of(config, context, sqlalchemy)

    def url(self, sqlalchemy: str) -> str:
        return mysql_access.url_of(self.access, sqlalchemy, LOCK_SECONDS)

    def described(self, facts: DatabaseFacts, timeout: float) -> DatabaseFacts:
        """What is known of it, beyond what the config says. Raises HubError when it cannot be reached."""
        path = self.access.context().path
        programs = {what: mysql_clients.find(what, path) for what in mysql_clients.PROGRAMS}
        server = ServerFacts(
            product=mysql_clients.MARIADB if self.access.dialect == "mariadb" else mysql_clients.MYSQL,
            clients={
                mysql_clients.PROGRAMS[what][0]: program.version if program else ""
                for what, program in programs.items()
            },
            package=mysql_clients.PACKAGE,
        )
        if programs["client"] is None:
            return replace(facts, exists=True, server=server)
        if not self.exists():
            return replace(facts, server=server)
        found = self.contents(timeout)
        about = (sql.VERSION, sql.SIZE, sql.GRANTS, sql.SESSIONS, sql.OWN_NAME)
        [[(version, comment)], [(size,)], grants, sessions, [(me,)]] = self.read(about, timeout)
        [unsafe, triggers] = self.read([sql.UNSAFE_TABLES, sql.FOREIGN_TRIGGERS], timeout)
        granted = sql.grants(grants)
        allowed = sql.privileges_on(self.access.database, granted)
        product = mysql_clients.MARIADB if "MariaDB" in f"{version} {comment}" else mysql_clients.MYSQL
        number = re.match(r"\d+\.\d+\.\d+", str(version))
        version = number[0] if number else str(version)
        server = replace(
            server,
            product=product,
            version=version,
            clients_too_old=any(
                program.is_too_old_for(product, version) for program in programs.values() if program
            ),
            no_copies=self._grant_for_copies(sql.privileges_on(self.scratch_name, granted)),
            no_restore=self._grant_for_restore(allowed),
            sessions=list(_described(sessions, str(me)).values()),
            may_end_sessions="SUPER" in self._privileges_of_maker(granted),
            foreign_triggers=[]
            if allowed & sql.DEFINERS_PRIVILEGES
            else [f"{name} ({definer})" for name, definer in triggers],
            unsafe_tables={str(name): str(engine) for name, engine in unsafe},
        )
        return replace(
            facts,
            exists=True,
            bytes=int(size or 0),
            revision=found.revision,
            rows=found.rows,
            server=server,
            **self.health(found),
        )

    def _privileges_of_maker(self, own: Sequence[sql.Grant]) -> frozenset[str]:
        if not self.access.maker:
            return sql.privileges_on(self.access.database, own)
        [granted] = self.maker.read([sql.GRANTS])
        return sql.privileges_on(self.access.database, sql.grants(granted))

    def sessions(self) -> dict[str, str]:
        """Those that the maker sees, who may see more."""
        [found] = self.maker.beside(self.access.database).read([sql.SESSIONS])
        return _described(found, self.access.user)

    def end_session(self, number: str) -> None:
        self.maker._run([f"KILL {number}"], LOCK_SECONDS, selected=False)

    def grant_for_copies(self) -> str:
        """The statement by which the hub's user may make copies."""
        return self._grant("ALL PRIVILEGES", sql.escaped(self.name_beside("")) + "%")

    def _grant_for_copies(self, allowed: frozenset[str]) -> str:
        if self.access.scratch:
            self.scratch_copy.require_usable()
            return ""
        if self.access.maker:
            self.maker.read(["SELECT 1"])
            return ""
        return "" if allowed >= sql.NEEDED_PRIVILEGES else self.grant_for_copies()

    def _grant_for_restore(self, allowed: frozenset[str]) -> str:
        """The statement by which the hub's user may dump and restore all of it; '' where it may."""
        lacking = sorted(sql.NEEDED_PRIVILEGES - allowed)
        return self._grant(", ".join(lacking), sql.escaped(self.access.database)) if lacking else ""

    def _grant(self, privileges: str, pattern: str) -> str:
        return f"GRANT {privileges} ON {sql.quoted(pattern)}.* TO {self.account()};"

    def account(self) -> str:
        """The hub's user, as a GRANT names it."""
        [[(account,)]] = self.read(["SELECT CURRENT_USER()"])
        user, _at, host = str(account).rpartition("@")
        return f"'{user}'@'{host}'"

    @property
    def seen_within(self) -> float:  # type: ignore[override]
        """The hub's transactions see one state of the database until they end, and an idle hub ends none."""
        if "READ COMMITTED" in self.access.options.get("init_command", "").upper().replace("-", " "):
            return 0
        # Its name depends on the product and the version.
        [variables] = self.read(["SHOW GLOBAL VARIABLES LIKE '%\\_isolation'"])
        return 0 if variables[0][1] == "READ-COMMITTED" else IDLE_HUB_SECONDS

    def exists(self) -> bool:
        name = sql.literal(self.access.database)
        query = f"SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {name}"
        return bool(sql.rows(self._run([query], LOCK_SECONDS, selected=False)))

    def contents(self, timeout: float = 10) -> Contents:
        [stamps, counts] = self._answers([[*sql.STAMP], [*sql.COUNTS]], timeout)
        revision = stamps[0][0] if stamps else None
        return Contents(revision, {str(table): int(str(count)) for table, count in counts})

    def progress(self) -> object:
        """A statement that waits for a lock does not get on, and nothing does while the server is away."""
        try:
            [sessions] = self.read([sql.SESSIONS])
        except HubError:
            return None
        return [
            (
                session[0],
                state,
                None if re.search(r"(?i)waiting for .*lock", state or "") else time.monotonic(),
            )
            for *session, state in sessions
        ]

    def read(self, queries: Sequence[str], timeout: float = LOCK_SECONDS) -> list[list[Row]]:
        return self._answers([[query] for query in queries], timeout)

    def run(self, statements: Sequence[str], timeout: float = LOCK_SECONDS) -> None:
        self._run(["START TRANSACTION", *statements, "COMMIT"], timeout)

    def _answers(self, queries: Sequence[Sequence[str]], timeout: float) -> list[list[Row]]:
        """The rows that each group of statements yields, all in one transaction that writes nothing."""
        mark = secrets.token_hex(16)
        statements = [sql.SNAPSHOT]
        for query in queries:
            statements += [*query, f"SELECT '{mark}'"]
        found: list[list[Row]] = [[]]
        for row in sql.rows(self._run(statements, timeout)):
            if row == (mark,):
                found.append([])
            else:
                found[-1].append(row)
        return found[:-1]

    def _run(self, statements: Sequence[str], timeout: float, selected: bool = True) -> bytes:
        """What a client prints in one session. ``selected``: the database is its own."""
        arguments = ["--batch", "--skip-column-names", "--binary-mode", "--quick", "--skip-reconnect"]
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            source.write(sql.script([*sql.settings(timeout), *statements]))
            source.seek(0)
            try:
                mysql_clients.run(
                    self.access,
                    "client",
                    [*arguments, *([self.access.database] if selected else [])],
                    source=source,
                    target=target,
                    timeout=timeout + READ_SECONDS,
                )
            except HubError as error:
                raise HubError(
                    f"The database {self.name} cannot be used. {error.message}", error.hint
                ) from error
            target.seek(0)
            return target.read()

    def columns(self) -> dict[str, list[Column]]:
        found: dict[str, list[Column]] = {}
        for table, column, in_key in self.read([sql.COLUMNS])[0]:
            found.setdefault(str(table), []).append(Column(str(column), in_key == "1"))
        return found

    def quoted(self, name: str) -> str:
        return sql.quoted(name)

    def digest(self, columns: Sequence[str]) -> str:
        return sql.digest(columns)

    def dump(self, target: Path, timeout: float = LOCK_SECONDS) -> None:
        mysql_dumps.write(self.access, target, self._foreign(), COPY_SECONDS)

    def _foreign(self) -> list[Row]:
        """Views, routines and events of other users that the hub's cannot make again: they are left alone.

        None of them has rows, and no migration changes them.
        """
        [foreign, grants] = self.read([sql.FOREIGN, sql.GRANTS])
        allowed = sql.privileges_on(self.access.database, sql.grants(grants))
        return [] if allowed & sql.DEFINERS_PRIVILEGES else foreign

    def contents_of(self, dump: Path) -> Contents:
        return mysql_dumps.contents(dump)

    def replace_with(self, dump: Path) -> None:
        mysql_dumps.require_whole(dump)
        self._end_sessions()
        # Others' grants on a routine go with it, so those that are as they were stay.
        kept = self._routines() == mysql_dumps.text(dump, mysql_dumps.ROUTINES)
        self._drop([sql.OBJECTS] if kept else [sql.OBJECTS, sql.ROUTINES])
        self._take_in(dump, mysql_dumps.TABLES, mysql_dumps.TRIGGERS)
        if not kept:
            self._take_in(dump, mysql_dumps.ROUTINES, mysql_dumps.ROUTINES)
        # It is the last: without it, nothing takes what is half restored for a hub's database.
        self._take_in(dump, mysql_dumps.REVISION, mysql_dumps.REVISION)

    def _drop(self, objects: Sequence[str]) -> None:
        foreign = self._foreign()
        dropped = [row for rows in self.read(objects) for row in rows if row not in foreign]
        self._run(sql.drop(dropped), LOCK_SECONDS)

    def _take_in(self, dump: Path, first: str, last: str) -> None:
        try:
            mysql_dumps.feed(self.access, dump, first, last, LOCK_SECONDS, COPY_SECONDS)
        except HubError as error:
            raise HubError(
                f"{dump} cannot be restored into {self.name}. {error.message}", error.hint
            ) from error

    def _routines(self) -> bytes:
        with tempfile.TemporaryFile() as file:
            mysql_dumps.routines(self.access, file, self._foreign(), READ_SECONDS)
            file.seek(0)
            return file.read()

    def _end_sessions(self) -> None:
        """End what is left of the hub and of a migration that was killed: the server still works on it."""
        deadline = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < deadline:
            [sessions, [(me,)]] = self.read([sql.SESSIONS, sql.OWN_NAME])
            own = [session[0] for session in sessions if session[1] == me]
            if not own:
                return
            for number in own:
                with contextlib.suppress(HubError):
                    # It may have ended by itself.
                    self._run([f"KILL {number}"], LOCK_SECONDS, selected=False)
            time.sleep(LOOK_SECONDS / 10)

    def particulars(self) -> dict[str, Any]:
        [[(character_set, collation)]] = self.read([sql.CHARACTER_SET])
        return {"character_set": character_set, "collation": collation}

    def seal(self, folder: Path, backup: DatabaseBackup, timeout: float) -> DatabaseBackup:
        self._require_unlocked(timeout)
        sealed = super().seal(folder, backup, timeout)
        return replace(sealed, particulars={**sealed.particulars, "fingerprint": self._fingerprint()})

    def _require_unlocked(self, timeout: float) -> None:
        """Refuse what neither a migration nor a restore could change: the next step would leave it half done.

        A session that is in a transaction keeps each table that it has read, and only now the hub has none.
        """
        [tables] = self.read([sql.TABLES])
        locks = ", ".join(f"{sql.quoted(str(table))} WRITE" for (table,) in tables)
        try:
            self._run([f"LOCK TABLES {locks}", "UNLOCK TABLES"], timeout)
        except HubError as error:
            raise HubError(
                f"Another session than the hub's keeps tables of {self.name}. {error.message}",
                "End it: SHOW PROCESSLIST shows it to an administrator of the server.",
            ) from error

    def is_as_backed_up(self, backup: DatabaseBackup) -> bool:
        known = backup.particulars.get("fingerprint")
        with contextlib.suppress(HubError):
            return bool(known) and known == self._fingerprint()
        return False

    def _fingerprint(self) -> str:
        """Of all that is in the database: the text of its schema, and the server's checksum of each table."""
        [tables] = self.read([sql.TABLES])
        checksums = [f"CHECKSUM TABLE {sql.quoted(str(table))}" for (table,) in tables]
        digest = hashlib.sha256(self._run(checksums, LOCK_SECONDS))
        with tempfile.TemporaryFile() as file:
            mysql_dumps.schema(self.access, file, self._foreign(), READ_SECONDS)
            file.seek(0)
            digest.update(file.read())
        return digest.hexdigest()

    def restore(self, folder: Path, backup: DatabaseBackup, aside: Path) -> None:
        character_set, collation = backup.particulars["character_set"], backup.particulars["collation"]
        made = sql.make_database(self.access.database, character_set, collation)
        self._run([made], LOCK_SECONDS, selected=False)
        if self.particulars()["collation"] != collation:
            # Triggers and routines remember the one that they were made under.
            self._run([sql.alter_database(character_set, collation)], LOCK_SECONDS)
        super().restore(folder, backup, aside)

    def has_owner_of(self, backup: DatabaseBackup) -> bool:
        """A restore changes no grant."""
        return True

    def give_owner_of(self, backup: DatabaseBackup) -> None:
        """Nothing to do, as above."""

    def at(self, access: Access) -> MysqlCopy:
        return MysqlCopy(self, access)

    def beside(self, name: str) -> MysqlCopy:
        return self.at(replace(self.access, database=name))

    @property
    def scratch_copy(self) -> MysqlCopy:
        return self.at(self.access.scratch or replace(self.access, database=self.scratch_name))

    @property
    def maker(self) -> MysqlDatabase:
        """With whose access the database for copies is made and removed."""
        access = self.access.maker
        return MysqlDatabase(access, f"{access.database} of the administrator") if access else self

    def make_empty(self) -> None:
        raise AssertionError("The hub's own database is never emptied.")

    def remove(self) -> None:
        raise AssertionError("The hub's own database is never removed.")


class MysqlCopy(MysqlDatabase, ServerCopy):
    """Another database, for a rehearsal or a test: without triggers, routines and events.

    These may name the hub's own database and would write into that.
    """

    def __init__(self, origin: MysqlDatabase, access: Access) -> None:
        super().__init__(access, access.database)
        self.origin = origin

    @property
    def is_lasting(self) -> bool:
        return self.access == self.origin.access.scratch

    def replace_with(self, dump: Path) -> None:
        mysql_dumps.require_whole(dump)
        self._end_sessions()
        self._drop([sql.OBJECTS])
        self._take_in(dump, mysql_dumps.TABLES, mysql_dumps.TABLES)
        self._take_in(dump, mysql_dumps.REVISION, mysql_dumps.REVISION)

    def make_empty(self) -> None:
        like = self.origin.particulars()
        if self.is_lasting:
            self.remove()
            self._run([sql.alter_database(like["character_set"], like["collation"])], LOCK_SECONDS)
            return
        self.remove()
        made = [sql.make_database(self.access.database, like["character_set"], like["collation"])]
        if self.access.maker:
            made.insert(0, f"GRANT {self._rights} TO {self.origin.account()}")
        try:
            self.origin.maker._run(made, LOCK_SECONDS, selected=False)
        except HubError as error:
            raise HubError(
                f"The copy {self.name} of the database cannot be made. {error.message}",
                f"Run on the server: {self.origin.grant_for_copies()}",
            ) from error

    def remove(self) -> None:
        if self.is_lasting:
            self._end_sessions()
            self._drop([sql.OBJECTS])
        elif self.origin.maker.beside(self.access.database).exists():
            self._end_sessions()
            removed = [f"DROP DATABASE {sql.quoted(self.access.database)}"]
            if self.access.maker:
                removed.append(f"REVOKE {self._rights} FROM {self.origin.account()}")
            self.origin.maker._run(removed, LOCK_SECONDS, selected=False)

    @property
    def _rights(self) -> str:
        return f"ALL PRIVILEGES ON {sql.quoted(sql.escaped(self.access.database))}.*"


def _described(sessions: Sequence[Row], hub: str) -> dict[str, str]:
    """Number and description of sessions that are not of the user ``hub``."""
    return {
        str(number): f"{user}@{host} ({command}, {seconds} s)"
        for number, user, host, command, seconds, _state in sessions
        if user != hub
    }
