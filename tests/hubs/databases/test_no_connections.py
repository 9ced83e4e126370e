"""Others have all connections that a server, a database or a role may have: said before the outage."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.hubs.databases.servers import KINDS, PASSWORD, SQLALCHEMY, Place, empty_place
from tests.hubs.databases.test_migration import add_revision
from tests.hubs.real_hub import environment, fill_database, link_environment

#: What a test lets the hub's role have.
FEW = 3


class Limit(NamedTuple):
    """A limit of connections, and what the server says when it is reached."""

    kind: str
    statements: tuple[str, ...]
    says: str
    by: str
    """What the remedy names."""


LIMITS = {
    "PostgreSQL": Limit(
        "postgresql-15",
        # As many as are reserved for superusers, and these.
        (f"ALTER SYSTEM SET max_connections = {3 + FEW}",),
        "remaining connection slots are reserved",
        "max_connections",
    ),
    "PostgreSQL's role": Limit(
        "postgresql-15",
        (f'ALTER ROLE "{{name}}" CONNECTION LIMIT {FEW}',),
        "too many connections for role",
        "CONNECTION LIMIT",
    ),
    "PostgreSQL's database": Limit(
        "postgresql-15",
        (f'ALTER DATABASE "{{name}}" CONNECTION LIMIT {FEW}',),
        "too many connections for database",
        "CONNECTION LIMIT",
    ),
    "MariaDB": Limit(
        "mariadb-10.11", ("SET GLOBAL max_connections = 10",), "Too many connections", "max_connections"
    ),
    "MariaDB's user": Limit(
        "mariadb-10.11",
        (f"ALTER USER '{{name}}'@'localhost' WITH MAX_USER_CONNECTIONS {FEW}",),
        "max_user_connections",
        "max_connections",
    ),
}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_what_has_to_be_done_is_said(limit: Limit, tmp_path_factory: pytest.TempPathFactory) -> None:
    kind, folder = KINDS[limit.kind], tmp_path_factory.mktemp("hub")
    with kind.start() as server:
        place = empty_place(server, kind, folder)
        fill_database(environment("4.1.6", *kind.packages), place.config.url)
        database = place.database()
        for statement in limit.statements:
            server.sql(statement.format(name=place.name))
            if "SYSTEM" in statement:
                server.stop()
                server.start()
        with all_connections(place) as last:
            problem = find_database(place.config, place.context, SQLALCHEMY, 5).problem
            assert problem and limit.says in problem, problem
            assert limit.says in last
            assert limit.by in problem
            with pytest.raises(HubError, match=limit.says):
                database.contents()
        # A server notices only after a moment that its clients have ended.
        deadline = time.monotonic() + 60
        while problem := find_database(place.config, place.context, SQLALCHEMY, 5).problem:
            assert time.monotonic() < deadline, problem


def test_a_migration_that_is_refused_one_says_it_too(tmp_path: Path) -> None:
    kind = KINDS["postgresql-15"]
    target = link_environment("6.1.1", tmp_path / "target", *kind.packages)
    # Others come while it is at work.
    add_revision(target, "SELECT 1", "held = [op.get_bind().engine.connect() for _ in range(20)]")
    with kind.start() as server:
        place = empty_place(server, kind, tmp_path)
        fill_database(environment("4.1.6", *kind.packages), place.config.url)
        server.sql(f'ALTER ROLE "{place.name}" CONNECTION LIMIT 10')
        with pytest.raises(
            HubError, match=r"failed: .*too many connections for role.*raise its CONNECTION LIMIT"
        ):
            migration.migrate(place.database(), place.context, target, tmp_path / "state")


@contextlib.contextmanager
def all_connections(place: Place) -> Iterator[str]:
    """Within the block others are connected as often as the server allows; what it said to the next one."""
    with contextlib.ExitStack() as stack:
        while True:
            process = stack.enter_context(client(place))
            process.stdin.write("SELECT 'connected';\n")
            process.stdin.flush()
            if "connected" not in process.stdout.readline():
                break
        yield process.stderr.read()


class Client(NamedTuple):
    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]


@contextlib.contextmanager
def client(place: Place) -> Iterator[Client]:
    """A session of the hub's role, which ends with the block."""
    port = str(place.server.port)
    if place.config.url.startswith("postgresql"):
        argv = ["psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", port, "-U", place.name]
        variables = {"PGPASSWORD": PASSWORD}
    else:
        argv = ["mariadb", "--no-defaults", "-N", "-B", "-n", "-h", "127.0.0.1", "-P", port, "-u", place.name]
        # As PyMySQL sends it: the bytes of Latin-1.
        variables = {"MYSQL_PWD": PASSWORD.encode("latin-1").decode(errors="surrogateescape")}
    process = subprocess.Popen(
        [*argv, place.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**place.context.environment, **variables},
        text=True,
    )
    with process:
        assert process.stdin and process.stdout and process.stderr
        with contextlib.suppress(BrokenPipeError):
            yield Client(process.stdin, process.stdout, process.stderr)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
