"""The kinds of database that a hub can have: one file for each, and one entry here."""

from __future__ import annotations

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import urls
from .access import Access, DatabaseConfig
from .base import Database
from .facts import DatabaseFacts
from .mysql_database import MysqlDatabase
from .postgresql_database import PostgresqlDatabase
from .sqlite_database import SqliteDatabase

KINDS: dict[str, type[Database]] = {
    kind.kind: kind for kind in (SqliteDatabase, PostgresqlDatabase, MysqlDatabase)
}
#: What `find_database` calls a database of no kind that is known here.
OTHER = "other"


def find_database(
    config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str, timeout: float
) -> DatabaseFacts:
    """The database of a hub's config; ``kind`` is ``other`` where nothing can be done with it."""
    found = (kind.find(config, context, sqlalchemy, timeout) for kind in KINDS.values())
    return next((facts for facts in found if facts), DatabaseFacts(kind=OTHER, url=urls.mask(config.url)))


def database_of(facts: DatabaseFacts, access: Access | None = None) -> Database:
    """The database that was found earlier. Raises HubError when it is of no kind that is known here."""
    return kind_of(facts).of(facts, access)


def kind_of(facts: DatabaseFacts) -> type[Database]:
    """The kind of database. Raises HubError as `database_of`."""
    if facts.kind not in KINDS:
        raise HubError(
            f"The hub's database {facts.url} is not supported.",
            f"Upgrade this hub manually; supported are: {', '.join(sorted(KINDS))}.",
        )
    return KINDS[facts.kind]
