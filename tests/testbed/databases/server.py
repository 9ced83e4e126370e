"""A database server in a folder of its own, on a port and a socket of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

#: As whom it runs where the tests are root's: no server starts as root.
USER = "nobody"
START_SECONDS = 60
MAKE_CERTIFICATE: tuple[str | Path, ...] = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"),
)


class Server(ABC):
    """A server; `running` starts one."""

    #: As a URL of SQLAlchemy's begins, with a driver that the hubs of the tests have.
    dialect: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Make its data folder."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What starts it, in the foreground."""

    @abstractmethod
    def sql(self, statement: str, database: str = "", **variables: str) -> str:
        """Have its superuser carry out a statement; what it prints, in lines of tab-separated columns.

        Raises CalledProcessError. ``variables`` are of the client's environment.
        """

    def as_role(self, user: str) -> str:
        """What comes before a statement so that this role carries it out; '' where that is all the same."""
        return ""

    @abstractmethod
    def make_role(self, user: str, password: str, *, may_copy: bool = True) -> None:
        """Make a role for a hub; whether it may make databases."""

    @abstractmethod
    def databases(self) -> list[str]:
        """Names of the databases that are not the server's own."""

    @abstractmethod
    def make_database(self, name: str, owner: str) -> None:
        """Make a database that this role may do anything in."""

    @abstractmethod
    def content(self, database: str) -> list[str]:
        """All that a restore must bring back: schema, owners, grants, settings and every row, as lines."""

    def answers(self) -> bool:
        """Whether it can be used."""
        try:
            self.sql("SELECT 1")
        except subprocess.CalledProcessError:
            return False
        return True

    def url(self, user: str, password: str, database: str, query: str = "") -> str:
        """The URL for a hub's config, over TCP."""
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"{self.dialect}://{credentials}@127.0.0.1:{self.port}/{database}{query}"

    @property
    def certificate(self) -> Path:
        """For TLS: the server's, which is its own certificate authority."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    def make_certificate(self) -> None:
        """Make the certificate, which is good for 127.0.0.1."""
        self.run(
            [
                *(*MAKE_CERTIFICATE, "-nodes", "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.certificate),
            ]
        )

    def make_client_certificate(self, certificate: Path, key: Path, passphrase: str = "") -> None:
        """Make one with which a client can show who it is; whoever runs the tests has the key."""
        protected = ("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)
        argv = [*MAKE_CERTIFICATE, "-CA", self.certificate, "-CAkey", self.key, *protected]
        argv += ["-subj", "/CN=hub", "-keyout", key, "-out", certificate]
        subprocess.run(list(map(str, argv)), check=True, capture_output=True)

    def start(self) -> None:
        """Start it, and return when it can be used."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **as_user()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not come up"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; by SIGKILL as a power cut would."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def run(self, argv: Sequence[str | Path], **options: Any) -> str:
        """Run a program as the server's user; what it prints. Raises CalledProcessError."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            list(map(str, argv)),
            **{"check": True, "capture_output": True, "text": True, "cwd": "/", **as_user(), **options},
        )
        return done.stdout


AnyServer = TypeVar("AnyServer", bound=Server)


def as_user() -> dict[str, Any]:
    """How a process becomes the servers' user; nothing where the tests are not root's."""
    if os.geteuid():
        return {}
    entry = pwd.getpwnam(USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def running(kind: type[AnyServer], *arguments: object) -> Iterator[AnyServer]:
    """A server that can be used; it is gone afterwards, with its folder."""
    folder = Path(tempfile.mkdtemp(prefix="hubops-server-"))
    try:
        if not os.geteuid():
            shutil.chown(folder, USER)
        server = kind(folder, *arguments)
        server.prepare()
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
