"""MariaDB: Debian's 10.11; and MySQL's own server, 8.0 from Maven Central."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from .server import Server, running

#: Where ``tools/database-servers`` puts MySQL's own programs.
MYSQL_8 = Path("/var/cache/hubops/mysql-8.0.33/bin")


class Mysql(Server):
    """A MariaDB server; its superuser needs no password. ``options`` are further ones of the server."""

    dialect = "mysql+pymysql"
    client: tuple[str | Path, ...] = ("mariadb",)
    dumper: tuple[str | Path, ...] = ("mariadb-dump", "--no-defaults")
    server: str | Path = "/usr/sbin/mariadbd"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self.options = options
        #: Users that may make copies.
        self._may_copy: set[str] = set()

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def _data(self) -> Sequence[str]:
        return (f"--datadir={self.folder / 'data'}", "--innodb-log-file-size=8M", *self.options)

    def prepare(self) -> None:
        accounts = ("--auth-root-authentication-method=normal", "--skip-test-db")
        self.run(["mariadb-install-db", "--no-defaults", *accounts, *self._data])

    def command(self) -> Sequence[str | Path]:
        return [
            *(self.server, "--no-defaults", *self._data, f"--port={self.port}"),
            *(f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}", f"--tmpdir={self.folder}"),
            *("--bind-address=127.0.0.1,::1", "--skip-log-bin", "--innodb-buffer-pool-size=32M"),
            "--innodb-flush-log-at-trx-commit=0",
        ]

    def sql(self, statement: str, database: str = "", **variables: str) -> str:
        return self.run(
            [
                *(*self.client, "--no-defaults", "--batch", "--skip-column-names", "--raw"),
                *(f"--socket={self.socket}", "--user=root", "--default-character-set=utf8mb4"),
                # Whatever the server's is.
                "--init-command=SET SESSION sql_mode = ''",
                *([database] if database else []),
            ],
            input=statement,
        )

    def databases(self) -> list[str]:
        own = {"information_schema", "mysql", "performance_schema", "sys"}
        return [name for name in self.sql("SHOW DATABASES").splitlines() if name not in own]

    def make_role(self, user: str, password: str, *, may_copy: bool = True) -> None:
        # As mysql_native_password keeps what PyMySQL, the driver of the tests' hubs, sends.
        sent = hashlib.sha1(password.encode("latin-1")).digest()
        kept = f"*{hashlib.sha1(sent).hexdigest().upper()}"
        self.sql(f"CREATE USER '{user}'@'localhost' {self._identified(kept)}")
        self._may_copy |= {user} if may_copy else set()

    def _identified(self, kept: str) -> str:
        """By a password that the server keeps as these characters."""
        return f"IDENTIFIED BY PASSWORD '{kept}'"

    def make_database(self, name: str, owner: str) -> None:
        pattern = name.replace("_", r"\_")
        self.sql(f"CREATE DATABASE `{name}`; GRANT ALL ON `{pattern}`.* TO '{owner}'@'localhost'")
        if owner in self._may_copy:
            self.sql(rf"GRANT ALL ON `{pattern}\_hubops\_%`.* TO '{owner}'@'localhost'")

    def content(self, database: str) -> list[str]:
        own = (f"--socket={self.socket}", "--user=root", "--skip-comments")
        rows = ("--hex-blob", "--order-by-primary", "--skip-extended-insert")
        dump = self.run(
            [
                *self.dumper,
                *own,
                *rows,
                "--routines",
                "--events",
                "--triggers",
                "--skip-dump-date",
                database,
            ]
        )
        formats = self.sql(
            "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, ROW_FORMAT, TABLE_COLLATION, AUTO_INCREMENT, "
            f"CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}' ORDER BY 1; "
            f"SELECT * FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{database}'"
        )
        grants = self.sql(
            "SELECT * FROM mysql.db ORDER BY Db, User; "
            "SELECT User, Db, Table_name, Table_priv, Column_priv FROM mysql.tables_priv ORDER BY 1, 2, 3; "
            "SELECT User, Db, Table_name, Column_name, Column_priv FROM mysql.columns_priv "
            "ORDER BY 1, 2, 3, 4; "
            "SELECT User, Db, Routine_name, Proc_priv FROM mysql.procs_priv ORDER BY 1, 2, 3"
        )
        return [*dump.splitlines(), *formats.splitlines(), *grants.splitlines()]


def mysql(*options: str) -> AbstractContextManager[Mysql]:
    """A MariaDB server that can be used; gone afterwards."""
    return running(Mysql, *options)


class MysqlWithTls(Mysql):
    """One that takes no connection over TCP without TLS."""

    def prepare(self) -> None:
        super().prepare()
        self.make_certificate()

    def command(self) -> Sequence[str | Path]:
        return [
            *(*super().command(), "--require-secure-transport=ON", f"--ssl-ca={self.certificate}"),
            *(f"--ssl-cert={self.certificate}", f"--ssl-key={self.key}"),
        ]


def mysql_with_tls() -> AbstractContextManager[MysqlWithTls]:
    """Debian's MariaDB, as `MysqlWithTls`."""
    return running(MysqlWithTls)


class MysqlWithClientCertificates(MysqlWithTls):
    """One whose users have to show a certificate of the server's own authority."""

    def make_role(self, user: str, password: str, *, may_copy: bool = True) -> None:
        super().make_role(user, password, may_copy=may_copy)
        self.sql(f"ALTER USER '{user}'@'localhost' REQUIRE X509")


def mysql_with_client_certificates() -> AbstractContextManager[MysqlWithClientCertificates]:
    """Debian's MariaDB, as `MysqlWithClientCertificates`."""
    return running(MysqlWithClientCertificates)


class MysqlsOwn(Mysql):
    """MySQL's own server, with its own programs; TLS comes with it."""

    client = (MYSQL_8 / "mysql",)
    dumper = (MYSQL_8 / "mysqldump", "--no-defaults", "--no-tablespaces", "--column-statistics=0")
    server = MYSQL_8 / "mysqld"

    def prepare(self) -> None:
        self.run([self.server, "--no-defaults", "--initialize-insecure", *self._data])

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "--mysqlx=OFF"]

    def _identified(self, kept: str) -> str:
        return f"IDENTIFIED WITH mysql_native_password AS '{kept}'"


def mysqls_own(*options: str) -> AbstractContextManager[MysqlsOwn]:
    """MySQL's own server, that can be used; gone afterwards."""
    return running(MysqlsOwn, *options)
