"""A dump of Keycloak's PostgreSQL database, as `nebari upgrade` makes one: read to its end, and counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError

#: The last lines of a plain dump of `pg_dump` have it.
END = "-- PostgreSQL database dump complete"
_COPY = re.compile(r'COPY (?:\w+\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;')
TABLES = ("realm", "user_entity", "keycloak_group")
MAKE_IT = (
    "Make it again with `pg_dump` in the pod keycloak-postgresql-0, and look at what that says: without it "
    "all users of the site are lost by the upgrade."
)


@dataclass(frozen=True)
class Content:
    """What a realm has in a dump."""

    users: frozenset[str]
    """Their names; those of clients, which Keycloak keeps as users as well, are left out."""
    groups: int


def read(path: Path, realm: str) -> Content:
    """The content of a dump. Raises HubError where it is not whole, or has no user of the realm."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            tables = _tables(lines)
    except OSError as error:
        raise HubError(f"The backup of Keycloak {path} cannot be read: {error.strerror}.", MAKE_IT) from error
    if tables is None:
        raise HubError(f"The backup of Keycloak {path} is no whole dump: its end is missing.", MAKE_IT)
    missing = [name for name in TABLES if name not in tables]
    if missing:
        raise HubError(
            f"The backup of Keycloak {path} is not one of its database: it has no {', '.join(missing)}.",
            MAKE_IT,
        )
    ids = [row["id"] for row in tables["realm"] if row["name"] == realm]
    users = frozenset(
        row["username"]
        for row in tables["user_entity"]
        if row["realm_id"] in ids and row["service_account_client_link"] == r"\N"
    )
    if not users:
        raise HubError(f"The backup of Keycloak {path} has no user of the realm {realm}.", MAKE_IT)
    return Content(users, sum(row["realm_id"] in ids for row in tables["keycloak_group"]))


def _tables(lines: Iterator[str]) -> dict[str, list[dict[str, str]]] | None:
    """The rows of the tables that count; nothing where the dump does not come to its end."""
    found: dict[str, list[dict[str, str]]] = {}
    ended = False
    for line in lines:
        ended = ended or line.startswith(END)
        start = _COPY.match(line)
        if start:
            columns = [name.strip().strip('"') for name in start[2].split(",")]
            rows = found.setdefault(start[1], []) if start[1] in TABLES else None
            for row in lines:
                if row == "\\.\n":
                    break
                if rows is not None:
                    rows.append(dict(zip(columns, row.rstrip("\n").split("\t"))))
    return found if ended else None
