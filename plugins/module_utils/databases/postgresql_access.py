"""How a hub reaches its PostgreSQL database: from its URL, as libpq and SQLAlchemy read it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import urls
from .access import Access, DatabaseConfig, absolute, home, variables

DIALECTS = ("postgresql", "postgres")
#: In this order they take precedence over each other: what the drivers are given, the URL, the environment.
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "options": "PGOPTIONS",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
}
#: Parameters that name a file or a folder, and the file in the user's home that is used without them.
FILES = {
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
    "sslcrldir": "",
}
#: What drivers take besides libpq's parameters, and programs do not.
_OF_DRIVERS = (
    *("dsn", "connection_factory", "cursor_factory", "async", "async_"),
    *("autocommit", "prepare_threshold", "context", "row_factory"),
)
DEFAULT_PORT = "5432"
#: Hosts that a file of passwords calls localhost: none, and the folders of sockets that libpq is built with.
DEFAULT_SOCKETS = ("", "/var/run/postgresql", "/tmp")
#: A line of a password file: host, port, database, user, and the password, which is all the rest.
_KEPT = re.compile(r"((?:[^:\\]|\\.)*):" * 4 + r"(.*)")


def access_of(config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access:
    """The access of a hub's config. Raises HubError where its URL is none, or does not tell enough."""
    url = urls.parse(config.url)
    words = {name: context.environment.get(variable, "") for name, variable in _VARIABLES.items()}
    given = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password or "",
        "dbname": urls.database_name(url, sqlalchemy),
        **{name: ",".join(values) for name, values in url.query.items()},
        **{name: str(value) for name, value in config.connect_args.items() if name not in _OF_DRIVERS},
    }
    words.update(_of_service(given.get("service") or words["service"], context))
    words.update({name: word for name, word in given.items() if word})
    words.pop("service")
    words["user"] = words["user"] or context.user
    words["dbname"] = words.pop("database", "") or words["dbname"] or words["user"]
    passfile = Path(words.pop("passfile") or home(context) / ".pgpass")
    password = words.pop("password") or _kept_password(Path(context.on_host(str(passfile))), words)
    words.update({name: _file(words.get(name, ""), default, context) for name, default in FILES.items()})
    if context.container_user and not words["host"]:
        raise HubError(
            f"{urls.mask(config.url)} names no server, and the hub is a container.",
            "Name its host in c.JupyterHub.db_url, and restart the hub.",
        )
    return Access(
        dialect=url.dialect,
        driver=url.driver,
        user=words.pop("user"),
        password=password,
        host=words.pop("host"),
        port=words.pop("port"),
        database=words.pop("dbname"),
        options={name: word for name, word in words.items() if word},
        system_user=context.user,
        directory=context.scratch_place,
        container=context.container_user,
        gid=context.gid,
        groups=context.groups,
        variables=variables(context, "PG"),
    )


def _of_service(name: str, context: ExecutionContext) -> dict[str, str]:
    """The parameters of a service, which come before variables; nothing where no service is named.

    Raises HubError where no file of services has it.
    """
    if not name:
        return {}
    given = context.environment.get("PGSERVICEFILE")
    folder = context.environment.get("PGSYSCONFDIR") or "/etc/postgresql-common"
    files = [Path(given) if given else home(context) / ".pg_service.conf", Path(folder, "pg_service.conf")]
    for file in files:
        try:
            lines = Path(context.on_host(str(file))).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            continue
        found = _section(name, lines)
        if found is not None:
            return found
    raise HubError(
        f"The service {name} of the hub's database is in none of {', '.join(map(str, files))}.",
        "Correct the name in c.JupyterHub.db_url or PGSERVICE, or the permissions of the file.",
    )


def _section(name: str, lines: Iterable[str]) -> dict[str, str] | None:
    """The parameters of a section, the first of that name; None where there is none."""
    found: dict[str, str] | None = None
    for line in map(str.strip, lines):
        if line.startswith("["):
            if found is not None:
                break
            found = {} if line == f"[{name}]" else None
        elif found is not None and "=" in line and not line.startswith("#"):
            word, _equals, value = line.partition("=")
            found.setdefault(word.strip(), value.strip())
    return found


def _file(word: str, default: str, context: ExecutionContext) -> str:
    """The file that a parameter is for the hub: as it says, or the user's own; '' where there is none.

    What is no path stays as it is: ``system``, and a key that an engine has, ``engine:key``.
    """
    if word:
        return word if word == "system" or ":" in word else absolute(word, context)
    own = str(home(context) / ".postgresql" / default) if default else ""
    return own if own and os.path.exists(context.on_host(own)) else ""


def _kept_password(file: Path, words: Mapping[str, str]) -> str | None:
    """The password that the hub's user has in a file for this database, as libpq finds it.

    One that others may read is ignored by libpq, so that the hub has no password either.
    """
    host = "localhost" if words["host"] in DEFAULT_SOCKETS else words["host"]
    wanted = (host, words["port"] or DEFAULT_PORT, words["dbname"], words["user"])
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return None
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        kept = _KEPT.fullmatch(line)
        fields = [re.sub(r"\\(.)", r"\1", field) for field in kept.groups()] if kept else []
        if fields and all(field in ("*", word) for field, word in zip(fields, wanted)):
            return fields[4]
    return None


def patient(access: Access, lock_seconds: float) -> Access:
    """The same, where no statement waits longer for a lock."""
    options = f"{access.options.get('options', '')} -c lock_timeout={int(lock_seconds * 1000)}".strip()
    return replace(access, options={**access.options, "options": options})


def url_of(access: Access, sqlalchemy: str, lock_seconds: float) -> str:
    """The URL for programs in the hub's environment; none of their statements waits longer for a lock."""
    query = {name: [word] for name, word in patient(access, lock_seconds).options.items()}
    host, port = access.host, access.port
    if "/" in host or "," in host:
        query["host"] = [host]
        query.update({"port": [port]} if port else {})
        host = port = ""
    parts = urls.Url(
        access.dialect, access.driver, access.user, access.password, host, port, access.database, query
    )
    return urls.of_server(parts, sqlalchemy)
