"""How long a large database takes: backed up while the hub writes, sealed in the outage, and restored.

``python -m tests.bench.databases`` fills a database of each kind with API tokens up to a size, prints the
figures, and writes ``build/databases.json``. Until the stop a writer adds 100 rows a second, and keeps the
names of those that the database has acknowledged. After the seal the database is damaged as by a migration
that has failed. The servers have little memory, and PostgreSQL does not wait for its disk (``fsync=off``),
unless its kind ends with ``-synced``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.base import Database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import DatabaseFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import (
    database_of,
    find_database,
)

from tests.hubs.databases.servers import KINDS as TESTED
from tests.hubs.databases.servers import SQLALCHEMY, context_in, empty_place
from tests.hubs.real_hub import environment, fill_database
from tests.testbed.databases import POSTGRESQL_15, POSTGRESQL_18
from tests.testbed.databases.postgresql import Postgresql
from tests.testbed.databases.server import running

RESULT = Path(__file__).resolve().parents[2] / "build" / "databases.json"
HUB = "4.1.6"
#: Bytes of a row of ``api_tokens`` with its indexes, about; as many tokens are made as the size has room for.
TOKEN_BYTES = 470
ROWS_A_WRITE, WRITES_A_SECOND = 10, 10
LOCK_TIMEOUT = 30.0
#: Seconds within which sealing and the restore must be done, together.
LIMIT_SECONDS = 60

# MariaDB ends a recursion after 1,000 rows.
FILL = """{first}
INSERT INTO api_tokens (user_id, hashed, prefix, created, note, client_id, scopes)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
SELECT 1, {digest}, substr({digest}, 1, 4), '2026-01-01 00:00:00', {note}, 'jupyterhub', '[]' FROM numbers
"""
#: What comes first, and what a token's row has beside its number, in the words of each kind.
EXPRESSIONS = {
    "sqlite": {
        "first": "",
        "digest": "'sha512:1:16:' || n || hex(randomblob(64))",
        "note": "'oauth token ' || n",
    },
    "postgresql": {
        "first": "",
        "digest": "concat('sha512:1:16:', n, repeat(md5(n::text), 4))",
        "note": "concat('oauth token ', n)",
    },
    "mariadb": {
        "first": "SET max_recursive_iterations = 4294967295;",
        "digest": "concat('sha512:1:16:', n, repeat(md5(n), 4))",
        "note": "concat('oauth token ', n)",
    },
}


class Synced(Postgresql):
    """A server that waits for its disk, as in production."""

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "-c", "fsync=on"]


KINDS = {
    **TESTED,
    "postgresql-15-synced": TESTED["postgresql-15"]._replace(start=lambda: running(Synced, POSTGRESQL_15)),
    "postgresql-18-synced": TESTED["postgresql-18"]._replace(start=lambda: running(Synced, POSTGRESQL_18)),
}


class Subject(NamedTuple):
    """A hub's database with five users, and how statements reach it."""

    kind: str
    find: Callable[[], DatabaseFacts]
    database: Database
    sql: Callable[[str], object]


class Writer(threading.Thread):
    """Adds groups at 100 rows a second until it is stopped; ``acknowledged`` has their names."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(daemon=True)
        self.acknowledged: set[str] = set()
        self.seconds = 0.0
        self._subject, self._end = subject, threading.Event()
        self._began = time.monotonic()

    def run(self) -> None:
        for number in itertools.count():
            names = [f"written-{number}-{each}" for each in range(ROWS_A_WRITE)]
            values = ", ".join(f"('{name}')" for name in names)
            self._subject.sql(f"INSERT INTO {quoted(self._subject.kind, 'groups')} (name) VALUES {values}")
            self.acknowledged.update(names)
            due = self._began + (number + 1) / WRITES_A_SECOND
            if self._end.wait(max(0.0, due - time.monotonic())):
                return

    def stop(self) -> None:
        """As the stopped hub, which has no more to write."""
        self.seconds = time.monotonic() - self._began
        self._end.set()
        self.join()


def quoted(kind: str, name: str) -> str:
    """A name that a statement has: ``groups`` is a word of MariaDB's."""
    return f"`{name}`" if kind == "mariadb" else f'"{name}"'


@contextlib.contextmanager
def sqlite(folder: Path) -> Iterator[Subject]:
    """A database in a file."""
    file = folder / "jupyterhub.sqlite"
    fill_database(environment(HUB), f"sqlite:///{file}")
    context = context_in(folder, str(environment(HUB) / "bin"))

    def find() -> DatabaseFacts:
        return find_database(DatabaseConfig(f"sqlite:///{file}"), context, SQLALCHEMY, LOCK_TIMEOUT)

    def sql(statement: str) -> None:
        with contextlib.closing(sqlite3.connect(file, timeout=LOCK_TIMEOUT)) as connection, connection:
            connection.execute(statement)

    yield Subject("sqlite", find, database_of(find(), None), sql)


@contextlib.contextmanager
def on_server(name: str, folder: Path) -> Iterator[Subject]:
    """A database of a server of `KINDS`."""
    kind = KINDS[name]
    with kind.start() as server:
        place = empty_place(server, kind, folder)
        fill_database(environment(HUB, *kind.packages), place.config.url)

        def find() -> DatabaseFacts:
            return find_database(place.config, place.context, SQLALCHEMY, LOCK_TIMEOUT)

        yield Subject(name.partition("-")[0], find, place.database(), place.sql)


def measure(subject: Subject, folder: Path, megabytes: int) -> dict[str, Any]:
    """Seconds of each step, the rows that the writer got acknowledged, and those that are lost."""
    count = megabytes * 10**6 // TOKEN_BYTES
    subject.sql(FILL.format(count=count, **EXPRESSIONS[subject.kind]))
    made = subject.database.contents(LOCK_TIMEOUT).rows["api_tokens"]
    assert made >= count, f"{made} of {count} tokens were made"
    point, aside = folder / "point", folder / "aside"
    point.mkdir()
    aside.mkdir()
    database = subject.database
    seconds: dict[str, float] = {}

    writer = Writer(subject)
    writer.start()
    with timed(seconds, "back_up"):
        backup = database.back_up(point, LOCK_TIMEOUT)
    with timed(seconds, "prepare_seal"):
        database.prepare_seal(point, backup)
    writer.stop()
    with timed(seconds, "seal"):
        sealed = database.seal(point, backup, LOCK_TIMEOUT)
    database.remove_other_copies(point, sealed)
    before = database.contents(LOCK_TIMEOUT)
    subject.sql("DELETE FROM api_tokens WHERE id % 2 = 0")
    subject.sql(f"DROP TABLE {quoted(subject.kind, 'user_group_map')}")
    with timed(seconds, "restore"):
        database.restore(point, sealed, aside)
    after = database.contents(LOCK_TIMEOUT)
    lost = len(writer.acknowledged) - after.rows["groups"] + 1  # one group is `fill_database`'s
    return {
        "tokens": count,
        "megabytes": (subject.find().bytes or 0) // 10**6,
        "seconds": {step: round(took, 2) for step, took in seconds.items()},
        "written_rows_a_second": round(len(writer.acknowledged) / writer.seconds, 1),
        "acknowledged": len(writer.acknowledged),
        "lost": lost,
        "reached": after == before and lost == 0 and seconds["seal"] + seconds["restore"] <= LIMIT_SECONDS,
    }


@contextlib.contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Keep how long the block took, and say so: a gigabyte takes minutes."""
    started = time.monotonic()
    yield
    seconds[step] = time.monotonic() - started
    print(f"  {step:<13}{seconds[step]:8.2f} s", flush=True)


def main() -> int:
    """Measure each kind that is asked for; exit status 0 when each kept all rows, within its time."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.databases", description=__doc__)
    kinds = ["sqlite", *KINDS]
    arguments.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(kinds)} (all)")
    arguments.add_argument("--megabytes", type=int, default=1000, help="size of each database, about (1000)")
    options = arguments.parse_args()
    if unknown := set(options.kinds) - set(kinds):
        arguments.error(f"no such kind: {', '.join(sorted(unknown))}")
    found = {}
    for name in options.kinds or kinds:
        print(name, flush=True)
        with tempfile.TemporaryDirectory(prefix="hubops-bench-") as path:
            folder = Path(path)
            with sqlite(folder) if name == "sqlite" else on_server(name, folder) as subject:
                found[name] = measure(subject, folder, options.megabytes)
        print(f"  {json.dumps(found[name])}", flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(one["reached"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
