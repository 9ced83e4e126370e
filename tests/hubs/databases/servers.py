"""The servers of these tests: one entry for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import (
    database_of,
    find_database,
    kind_of,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.server import ServerDatabase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

from tests.testbed.databases import POSTGRESQL_15, POSTGRESQL_18, Server
from tests.testbed.databases.mysql import MYSQL_8, mysql, mysqls_own
from tests.testbed.databases.postgresql import postgresql

#: Characters that a URL, a shell, a file of options or SQL would take for something else.
PASSWORD = "s3 cr@t:/%?#\"'\\$ü"
SQLALCHEMY = "2.1.9"


class Kind(NamedTuple):
    """A server, and the packages with which a hub reaches it."""

    start: Callable[[], AbstractContextManager[Server]]
    programs: str
    """The folder of its clients."""
    packages: tuple[str, ...]


KINDS = {
    "postgresql-15": Kind(lambda: postgresql(POSTGRESQL_15), str(POSTGRESQL_15), ("psycopg[binary]",)),
    "postgresql-18": Kind(lambda: postgresql(POSTGRESQL_18), str(POSTGRESQL_18), ("psycopg[binary]",)),
    "mariadb-10.11": Kind(mysql, "/usr/bin", ("PyMySQL",)),
}
#: With which hubs are tested, and not every operation by itself.
MORE = {"mysql-8.0": Kind(mysqls_own, str(MYSQL_8), ("PyMySQL",))}


class Place(NamedTuple):
    """A hub's database on a server."""

    server: Server
    context: ExecutionContext
    config: DatabaseConfig
    name: str

    def database(self) -> ServerDatabase:
        facts = find_database(self.config, self.context, SQLALCHEMY, 5)
        assert facts.problem is None
        found = database_of(facts, kind_of(facts).access_of(self.config, self.context, SQLALCHEMY))
        assert isinstance(found, ServerDatabase)
        return found

    def sql(self, statement: str) -> str:
        """As the hub's role, as the hub and its migrations."""
        return self.server.sql(self.server.as_role(self.name) + statement, self.name)

    def databases(self) -> list[str]:
        """The hub's, and whatever was made of it."""
        return [name for name in self.server.databases() if name.startswith(self.name)]


def context_in(folder: Path, programs: str) -> ExecutionContext:
    """How a hub would run there: as whoever runs the tests."""
    return ExecutionContext(
        *("root", os.geteuid(), os.getegid(), (), str(folder), str(folder)),
        {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)},
    )


def empty_place(server: Server, kind: Kind, folder: Path, query: str = "", may_copy: bool = True) -> Place:
    """An empty database with a role of its own, which owns it."""
    name = f"hub_{abs(hash(folder)) % 10**8}"
    server.make_role(name, PASSWORD, may_copy=may_copy)
    server.make_database(name, name)
    config = DatabaseConfig(server.url(name, PASSWORD, name, query))
    return Place(server, context_in(folder, kind.programs), config, name)
