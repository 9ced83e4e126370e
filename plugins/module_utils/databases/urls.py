"""The hub's database URL: what kind of database it names, and which file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode

from ..errors import HubError

# SQLAlchemy's own grammar (sqlalchemy.engine.url); the first question mark ends the name of the database.
# A password may have an @ as it is, which SQLAlchemy before 1.4 accepts.
URL = re.compile(
    r"""
    (?P<dialect>\w+) (?:\+(?P<driver>\w+))? ://
    (?: (?P<username>[^:/]*) (?::(?P<password>(?:[^@]|@(?=[^/?]*@))*))? @ )?
    (?: \[(?P<address>[^/?]+)\] | (?P<host>[^/:?]*) ) (?: :(?P<port>[^/?]*) )?
    (?: /(?P<database>[^?]*) )?
    (?: \?(?P<query>.*) )?
    """,
    re.VERBOSE | re.DOTALL,
)
PASSWORD = re.compile(r"(?P<before>[\w+]*://[^:/@]*):(?P<password>.*)@(?P<after>[^@]*)", re.DOTALL)
SECRET_ARGUMENT = re.compile(r"(?i)([?&][^=&]*(?:password|passwd|pwd|secret|token)[^=&]*=)[^&]*")


class Url(NamedTuple):
    """The parts of a database URL: without percent escapes, but for the database's name."""

    dialect: str
    driver: str
    username: str
    password: str | None
    host: str
    port: str
    database: str
    query: dict[str, list[str]]


def parse(url: str) -> Url:
    """Take a database URL apart; a plain file name is SQLite, as in ``JupyterHub.db_url``.

    Raises HubError when it is no URL that SQLAlchemy accepts.
    """
    match = URL.fullmatch(url if "://" in url else f"sqlite:///{url}")
    if match is None:
        raise HubError(
            f"{mask(url)} is not a database URL.", "Correct JupyterHub.db_url in the hub's config."
        )
    return Url(
        dialect=match["dialect"],
        driver=match["driver"] or "",
        username=unquote(match["username"] or ""),
        password=None if match["password"] is None else unquote(match["password"]),
        host=match["address"] or match["host"] or "",
        port=match["port"] or "",
        database=match["database"] or "",
        query=parse_qs(match["query"] or "", keep_blank_values=True),
    )


def kind(url: str) -> str:
    """Return ``sqlite`` for a URL that Python's sqlite3 opens, and ``other`` for the rest."""
    parts = parse(url)
    return "sqlite" if parts.dialect == "sqlite" and parts.driver in ("", "pysqlite") else "other"


def resolve_sqlite(url: str, directory: str | Path, sqlalchemy: str = "") -> Path | None:
    """Return the absolute path of the file that a SQLite URL names; links in it are kept.

    ``directory`` is the service's working directory, where relative names begin. ``sqlalchemy`` is the
    version installed in the hub's environment: from 2.1 on percent escapes in the name are decoded, before
    they are part of the name. The answer is None for other databases and for one in memory. Raises HubError
    for a URL that SQLAlchemy refuses, such as ``sqlite://folder/file`` with two slashes.
    """
    if kind(url) == "other":
        return None
    parts = parse(url)
    if parts.host:
        raise HubError(
            f"{mask(url)} names no file: a SQLite URL has three slashes, and four for an absolute path.",
            "Correct JupyterHub.db_url in the hub's config.",
        )
    name = database_name(parts, sqlalchemy)
    if name.startswith("file:") and parts.query.get("uri", [""])[-1].lower() in ("true", "1", "yes", "on"):
        if parts.query.get("mode", [""])[-1] == "memory":
            return None
        # A URI file name is SQLite's own: it may have an empty authority, and its percent escapes count.
        name = unquote(re.sub(r"^file:(//[^/]*)?", "", name))
    if name in ("", ":memory:"):
        return None
    return Path(directory, name)


def database_name(parts: Url, sqlalchemy: str) -> str:
    """The name of the database, as that version of SQLAlchemy reads it."""
    return unquote(parts.database) if decodes(sqlalchemy) else parts.database


def of_server(parts: Url, sqlalchemy: str) -> str:
    """The URL with which that version of SQLAlchemy finds a server's database: the inverse of `parse`."""
    driver = f"+{parts.driver}" if parts.driver else ""
    password = "" if parts.password is None else f":{quote(parts.password, safe='')}"
    user = f"{quote(parts.username, safe='')}{password}@" if parts.username or password else ""
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    port = f":{parts.port}" if parts.port else ""
    name = quote(parts.database, safe="") if decodes(sqlalchemy) else parts.database
    query = urlencode(parts.query, doseq=True, quote_via=quote)
    return f"{parts.dialect}{driver}://{user}{host}{port}/{name}{f'?{query}' if query else ''}"


def of_sqlite(path: Path, sqlalchemy: str) -> str:
    """The URL with which that version of SQLAlchemy opens a file: the inverse of `resolve_sqlite`."""
    name = str(path)
    return f"sqlite:///{quote(name) if decodes(sqlalchemy) else name}"


def decodes(sqlalchemy: str) -> bool:
    """Whether this version of SQLAlchemy decodes percent escapes in a database's name (2.1 and later)."""
    return [int(number) for number in re.findall(r"\d+", sqlalchemy)[:2]] >= [2, 1]


def mask(url: str) -> str:
    """Return a database URL that may be shown: passwords in it are replaced by ``***``."""
    shown = PASSWORD.sub(r"\g<before>:***@\g<after>", url, count=1)
    return SECRET_ARGUMENT.sub(r"\1***", shown)
