"""PostgreSQL's client programs: found in one folder, of one version, and connected by an access."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import HubError
from ..system.container_network import network_context
from ..system.execution_context import ContainerUser, ExecutionContext
from . import clients
from .access import Access
from .postgresql_access import FILES
from .server import Row

PROGRAMS = ("psql", "pg_dump", "pg_restore")
PACKAGE = "postgresql-client"
#: Where Debian's and Red Hat's packages have those of each version, without a wrapper.
FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
#: The name of our sessions on the server.
APPLICATION = "hubops"
CONNECT_SECONDS = "10"
#: Printed after the rows of each query: no value looks like this, for COPY doubles each backslash.
END = "\\hubops"
READ_ONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
#: Variables whose meaning is in the access already.
KNOWN = (
    *("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGPASSFILE", "PGOPTIONS", "PGAPPNAME"),
    *("PGSERVICE", "PGSERVICEFILE"),
)
#: Parameters that may not be on a command line, and have no variable: they are in a service's file.
SECRET = ("sslpassword",)
SERVICE = "hubops"
#: In their order: tables and functions; rows; indexes, constraints, triggers.
SECTIONS = (BEFORE_ROWS, ROWS, AFTER_ROWS) = ("pre-data", "data", "post-data")
_PSQL = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Programs(NamedTuple):
    """The programs of one folder."""

    folder: Path
    version: str
    context: ExecutionContext | None = None
    """Where that folder is; None on this host."""

    @property
    def major(self) -> int:
        return major(self.version)

    def path(self, program: str) -> str:
        return str(self.folder / program)


def major(version: str) -> int:
    """The number that decides which clients go with which server."""
    return int(version.partition(".")[0] or 0)


@lru_cache(maxsize=None)
def installed(search_path: str) -> tuple[Programs, ...]:
    """The folders of this host that have all programs, newest version first."""
    folders = [folder for pattern in FOLDERS for folder in Path("/").glob(pattern[1:])]
    found = [
        Programs(Path(path).parent, clients.version(path))
        for path in clients.found(PROGRAMS[:1], search_path, folders)
        if all(os.access(Path(path).with_name(program), os.X_OK) for program in PROGRAMS)
        and not _is_script(Path(path))
    ]
    return tuple(sorted(found, key=lambda each: each.major, reverse=True))


#: What a container's programs are found by: the folder of all three, and the version.
_FIND = f'for name in {" ".join(PROGRAMS)}; do command -v "$name" || exit; done; psql --version'


_of_servers: dict[tuple[ContainerUser, str], Programs] = {}


def of_the_server(user: ContainerUser, host: str) -> Programs | None:
    """Those that the server's own container has, where that is one of the engine's; None while it is down."""
    if (user, host) not in _of_servers:
        context = network_context(user, {}).neighbour(host)
        if context is None:
            return None
        try:
            lines = context.run(["sh", "-c", _FIND]).stdout.splitlines()
        except HubError:
            return None
        version = clients.version_in(lines[-1]) if len(lines) > len(PROGRAMS) else ""
        if not version:
            return None
        _of_servers[user, host] = Programs(Path(lines[0]).parent, version, context)
    return _of_servers[user, host]


def available(access: Access) -> tuple[Programs, ...]:
    """All programs by which a database can be asked, newest version first.

    Those of the server's own container only where this host has none of that version.
    """
    found = installed(access.context().path)
    if access.container and not _names_files(access):
        others = of_the_server(access.container, access.host)
        if others and others.major not in [each.major for each in found]:
            found += (others,)
    return tuple(sorted(found, key=lambda each: each.major, reverse=True))


def _names_files(access: Access) -> bool:
    """Whether the connection needs files of this host, which programs in another container do not find."""
    return access.host.startswith("/") or any(name in FILES for name in access.options)


def _is_script(path: Path) -> bool:
    """Whether it is Debian's wrapper, which looks for the programs in `FOLDERS` at each start."""
    with path.open("rb") as file:
        return file.read(2) == b"#!"


class Clients:
    """The programs, connected to one database. Raises HubError where they are not on this host."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._context = access.context()
        self._installed = available(access)
        if not self._installed:
            raise HubError(
                f"This host does not have PostgreSQL's programs {', '.join(PROGRAMS)}.",
                f"Install the package {PACKAGE}.",
            )

    @contextlib.contextmanager
    def _as_hub(self, programs: Programs) -> Iterator[tuple[ExecutionContext, tuple[int, ...]]]:
        """How programs run, wherever they are, and the descriptors that they need for it."""
        context = _with_credentials(programs.context or self._context, self._access)
        secrets = {name: word for name, word in self._access.options.items() if name in SECRET}
        if not secrets:
            yield context, ()
            return
        lines = [f"[{SERVICE}]", *(f"{name}={word}" for name, word in secrets.items()), ""]
        with clients.private_file("\n".join(lines).encode(), context) as (path, descriptor):
            yield replace(context, environment={**context.environment, "PGSERVICEFILE": path}), (descriptor,)

    @property
    def newest(self) -> Programs:
        return self._installed[0]

    def rows(self, queries: Iterable[str], before: Sequence[str] = ()) -> list[list[Row]]:
        """The rows of each query, all as of one moment; statements ``before`` belong to the transaction."""
        script = [READ_ONLY, *before]
        for query in queries:
            script += [f"COPY ({query}) TO STDOUT;", "\\echo '\\\\hubops'"]
        parts = self.psql([*script, "COMMIT;"]).split(f"{END}\n")[:-1]
        return [[parsed(line) for line in part.split("\n")[:-1]] for part in parts]

    def psql(self, script: Sequence[str]) -> str:
        """Carry out a script in one session, up to its first statement that fails; what it prints."""
        argv = [self.newest.path("psql"), *_PSQL, self._connection()]
        with self._as_hub(self.newest) as (context, descriptors):
            return clients.run(context, argv, input="\n".join(script) + "\n", pass_fds=descriptors)

    def dump(self, target: IO[bytes], server: int, arguments: Sequence[str]) -> None:
        """Write a dump in the custom format; ``server`` is the major version of the server."""
        programs = self._for(server)
        argv = [programs.path("pg_dump"), "-Fc", "-Z1", *arguments, self._connection()]
        with self._as_hub(programs) as (context, descriptors):
            clients.run(context, argv, target=target, pass_fds=descriptors)

    @contextlib.contextmanager
    def script_of(
        self, dump: Path, server: int, section: str, options: Sequence[str] = ()
    ) -> Iterator[IO[bytes]]:
        """The SQL of one of a dump's `SECTIONS`. Raises HubError, at the end, when the dump is damaged."""
        programs = self._for(server)
        argv = [programs.path("pg_restore"), f"--section={section}", *options, "-f", "-"]
        context = _with_credentials(programs.context or self._context, self._access)
        with dump.open("rb") as source, clients.piped(context, argv, source=source) as process:
            if process.stdout is None:
                raise AssertionError("pg_restore has no output.")
            try:
                yield process.stdout.buffer  # type: ignore[attr-defined]
            finally:
                process.stdout.close()

    @contextlib.contextmanager
    def session(self) -> Iterator[IO[bytes]]:
        """A session of psql to write SQL to; what has no COMMIT at the end of the block is undone.

        Raises HubError with the first statement's error.
        """
        argv = [self.newest.path("psql"), *_PSQL, "-o", "/dev/null", self._connection()]
        with contextlib.ExitStack() as stack:
            context, descriptors = stack.enter_context(self._as_hub(self.newest))
            process = stack.enter_context(clients.piped(context, argv, pass_fds=descriptors))
            if process.stdin is None:
                raise AssertionError("psql has no input.")
            with contextlib.suppress(BrokenPipeError):
                try:
                    yield process.stdin.buffer  # type: ignore[attr-defined]
                finally:
                    process.stdin.close()

    def _for(self, server: int) -> Programs:
        """The oldest programs that know this server: newer ones write what older servers do not know."""
        known = [each for each in self._installed if each.major >= server]
        if not known:
            raise HubError(
                f"The pg_dump of this host has version {self.newest.version} and refuses a server of "
                f"version {server}.",
                f"Install the package {PACKAGE}-{server}.",
            )
        return known[-1]

    def _connection(self) -> str:
        """The connection in words, without the password."""
        access = self._access
        words = {
            "connect_timeout": CONNECT_SECONDS,
            **{
                name: self._on_host(word) if name in FILES else word
                for name, word in access.options.items()
                if name not in SECRET
            },
            "host": self._on_host(access.host),
            "port": access.port,
            "user": access.user,
            "dbname": access.database,
            "application_name": APPLICATION,
            "service": SERVICE if any(access.options.get(name) for name in SECRET) else "",
        }
        return "--dbname=" + " ".join(f"{name}={_quoted(word)}" for name, word in words.items() if word)

    def _on_host(self, word: str) -> str:
        """A file of the hub's, as this host's clients find it; what is no absolute path as it is."""
        return self._context.on_host(word) if os.path.isabs(word) else word


def _with_credentials(context: ExecutionContext, access: Access) -> ExecutionContext:
    variables = {name: value for name, value in context.environment.items() if name not in KNOWN}
    variables.update(LC_ALL="C.UTF-8", PGCLIENTENCODING="UTF8")
    if access.password is not None:
        variables["PGPASSWORD"] = access.password
    return replace(context, environment=variables)


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def parsed(line: str) -> Row:
    """A line of COPY's text format."""
    return tuple(_value(field) if "\\" in field else field for field in line.split("\t"))


def _value(field: str) -> str | None:
    """A field that is written otherwise than it is."""
    return None if field == "\\N" else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), field)
