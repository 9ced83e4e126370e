"""MariaDB: Debian's 10.11."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .server import Server, running

SUPERUSER = "root"


class Mysql(Server):
    """A MariaDB server; its superuser needs no password. ``options`` are further ones of the server."""

    dialect = "mysql+pymysql"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self.options = options

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def prepare(self) -> None:
        self.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db", *self._log_size),
                *(option for option in self.options if "lower-case" in option),
            ]
        )
        # The account without a name would be taken for that of any user without one at this host.
        (self.folder / "log").touch()

    @property
    def _log_size(self) -> Sequence[str]:
        return ("--innodb-log-file-size=8M",)

    def command(self) -> Sequence[str | Path]:
        return [
            *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}"),
            *(f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1"),
            *(f"--pid-file={self.folder / 'pid'}", f"--tmpdir={self.folder}", "--skip-log-bin"),
            *("--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", *self._log_size),
            *self.options,
        ]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        super().stop(how)

    def sql(self, statement: str, database: str = "", **variables: str) -> str:
        argv: list[str | Path] = [
            *("mariadb", "--no-defaults", "--batch", "--skip-column-names", "--raw"),
            # Whatever the server's is.
            "--init-command=SET SESSION sql_mode = ''",
            *("--default-character-set=utf8mb4", f"--socket={self.socket}", f"--user={SUPERUSER}", database),
        ]
        return self.run([each for each in argv if each], input=statement)

    def make_role(self, user: str, password: str, *, may_copy: bool = True) -> None:
        self.sql(f"CREATE USER '{user}'@'localhost' IDENTIFIED BY {_text(password)}")
        self._roles = {**getattr(self, "_roles", {}), user: may_copy}

    def make_database(self, name: str, owner: str) -> None:
        self.sql(f"CREATE DATABASE `{name}`")
        self.sql(f"GRANT ALL ON `{_escaped(name)}`.* TO '{owner}'@'localhost'")
        if self._roles[owner]:
            self.sql(f"GRANT ALL ON `{_escaped(name)}\\_hubops\\_%`.* TO '{owner}'@'localhost'")

    def answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except subprocess.CalledProcessError:
            return False
        return True


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _escaped(name: str) -> str:
    return name.replace("_", "\\_")


@contextlib.contextmanager
def mysql(*options: str) -> Iterator[Mysql]:
    """A MariaDB server that can be used; gone afterwards."""
    with running(Mysql, *options) as server:
        assert isinstance(server, Mysql)
        yield server
