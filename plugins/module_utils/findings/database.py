"""The hub's database: whether it can be saved, migrated and written."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, Finding, Kind

DATABASE_NOT_SUPPORTED = Kind(
    "database-not-supported",
    BLOCKER,
    "The database is not SQLite.",
    "Others cannot be backed up yet, so there would be no way back.",
    "Upgrade this hub by hand, with a dump by the database's own tools.",
)
DATABASE_MISSING = Kind(
    "database-missing",
    BLOCKER,
    "The file that db_url names does not exist.",
    "The new hub would begin with an empty one.",
    "Check db_url, and the working directory of the service that it is relative to.",
)
DATABASE_NOT_READABLE = Kind(
    "database-not-readable",
    BLOCKER,
    "The database is locked, damaged or no SQLite database.",
    "Nothing can be migrated safely before this is mended.",
    "Do what the message says, then try again.",
)
KINDS = (DATABASE_NOT_SUPPORTED, DATABASE_MISSING, DATABASE_NOT_READABLE)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the database."""
    database = upgrade.deployment["database"]
    if database["kind"] != "sqlite":
        yield DATABASE_NOT_SUPPORTED.found(f"The database {database['url']} is not SQLite.")
    elif not database["exists"]:
        yield DATABASE_MISSING.found(f"The hub's database {database['path']} does not exist.")
    elif database.get("problem"):
        yield DATABASE_NOT_READABLE.found(
            f"The hub's database {database['path']} cannot be used: {database['problem']}"
        )
