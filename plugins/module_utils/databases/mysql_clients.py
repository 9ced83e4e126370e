"""MySQL's and MariaDB's client programs: which are on the host, and how they are told server and password."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import clients, mysql_option_files
from .access import Access
from .mysql_access import OVER_TCP

#: By what they do; the first folder of the search path that has one counts, and there MariaDB's name.
PROGRAMS = {"client": ("mariadb", "mysql"), "dump": ("mariadb-dump", "mysqldump")}
PACKAGE = "mariadb-client"
FOLDERS = (Path("/usr/local/mysql/bin"), Path("/usr/local/mariadb/bin"), Path("/opt/mysql/bin"))
MARIADB, MYSQL = "MariaDB", "MySQL"
#: Options that name a file or a folder.
FILES = ("socket", "ssl-ca", "ssl-capath", "ssl-cert", "ssl-key")
#: As PyMySQL encodes a password; the others send UTF-8.
PASSWORD_ENCODINGS = {"pymysql": "latin-1"}


@dataclass(frozen=True)
class Client:
    """A client program."""

    path: str
    product: str
    """``MariaDB`` or ``MySQL``."""
    version: str

    def is_too_old_for(self, product: str, version: str) -> bool:
        """Whether a server is of a later series of its product, which it does not promise to know."""
        return self.product == product and _series(self.version) < _series(version)


def find(what: str, search_path: str) -> Client | None:
    """The program that is the ``client``, or makes a ``dump``; None where there is none that runs."""
    paths = clients.found(PROGRAMS[what], search_path, FOLDERS)
    return next(filter(None, map(_identified, paths)), None)


@functools.lru_cache(maxsize=None)
def _identified(path: str) -> Client | None:
    said = clients.version_line(path)
    version = re.search(r"(?:Distrib|from) (\d+\.\d+\.\d+)", said) or re.search(r"Ver (\d+\.\d+\.\d+)", said)
    return Client(path, MARIADB if "MariaDB" in said else MYSQL, version[1]) if version else None


def need(what: str, search_path: str) -> Client:
    """As `find`. Raises HubError where there is none."""
    found = find(what, search_path)
    if found is None:
        raise HubError(
            f"There is no {' or '.join(PROGRAMS[what])} on this host.", f"Install the package {PACKAGE}."
        )
    return found


def run(
    access: Access,
    what: str,
    arguments: Sequence[str],
    *,
    source: IO[bytes] | None = None,
    target: IO[bytes],
    timeout: float | None = None,
) -> None:
    """Run the ``client`` or the ``dump`` program as the hub's user; input and output are open files.

    Raises HubError with the reason that it gives.
    """
    context = access.context()
    program = need(what, context.path)
    with _option_file(access, program, context) as (path, descriptor), contextlib.ExitStack() as stack:
        clients.run(
            replace(context, environment={**context.environment, "MYSQL_TEST_LOGIN_FILE": os.devnull}),
            # It has to be the first argument. No other option file is read: it might name another server.
            [program.path, f"--defaults-file={path}", *arguments],
            source=source or stack.enter_context(Path(os.devnull).open("rb")),
            target=target,
            pass_fds=(descriptor,),
            timeout=timeout,
        )


def options(access: Access, product: str) -> dict[str, str]:
    """What an option file tells a client of this product, but for the password."""
    given = access.options
    found = {"user": access.user, "default-character-set": "utf8mb4"}
    if access.host.startswith("/"):
        found["socket"] = access.host
    else:
        if access.driver in OVER_TCP:
            found["protocol"] = "TCP"
        if access.host:
            found["host"] = access.host
        if access.port:
            found["port"] = access.port
    for name in ("ca", "capath", "cert", "key", "cipher"):
        if given.get(f"ssl_{name}"):
            found[f"ssl-{name}"] = given[f"ssl_{name}"]
    wants_tls = any(
        _is_set(value) for name, value in given.items() if name.startswith("ssl") and name != "ssl_disabled"
    )
    named = given.get("ssl_mode", "").upper() == "VERIFY_IDENTITY" or any(
        _is_set(given.get(f"ssl_{name}")) for name in ("check_hostname", "verify_identity")
    )
    if _is_set(given.get("ssl_disabled")) or given.get("ssl_mode", "").upper() == "DISABLED":
        found.update({"ssl-mode": "DISABLED"} if product == MYSQL else {"skip-ssl": ""})
    elif product == MYSQL:
        mode = "VERIFY_IDENTITY" if named else "VERIFY_CA" if "ssl-ca" in found else "REQUIRED"
        found.update({"ssl-mode": mode} if wants_tls else {})
    else:
        found.update({"ssl": ""} if wants_tls else {})
        # From 11.4 on MariaDB's clients verify unless they are told not to; no driver does.
        found["ssl-verify-server-cert" if named else "skip-ssl-verify-server-cert"] = ""
    return found


def password(access: Access) -> bytes:
    """The password, as the hub's driver sends it. Raises HubError where that cannot."""
    encoding = PASSWORD_ENCODINGS.get(access.driver, "utf-8")
    try:
        return (access.password or "").encode(encoding)
    except UnicodeEncodeError:
        raise HubError(
            "The password of the hub's database has characters that PyMySQL cannot send: it encodes "
            "passwords in Latin-1.",
            "Give the hub's user of the database another password, or use mysqlclient (mysql://).",
        ) from None


@contextlib.contextmanager
def _option_file(access: Access, program: Client, context: ExecutionContext) -> Iterator[tuple[str, int]]:
    """An option file that no folder has: path and descriptor, gone with the last process that has it open."""
    told = {
        name: (context.on_host(value) if name in FILES else value).encode()
        for name, value in options(access, program.product).items()
    }
    secret = password(access)
    if secret:
        told["password"] = secret
    with clients.private_file(mysql_option_files.content(told), context) as found:
        yield found


def _is_set(value: str | None) -> bool:
    return (value or "").lower() not in ("", "0", "false", "no", "none", "disabled")


def _series(version: str) -> list[int]:
    return [int(number) for number in version.split(".")[:2]]
