"""Releases with a fault that shows in the outage: in the migration, or when the new hub runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.testbed.releases import (
    APP,
    CANNOT_READ_USERS,
    DOES_NOT_START,
    MIGRATION,
    NEVER_ANSWERS,
    USERS,
    VERSION,
)
from tests.testbed.staged import broken

from .attempt import NotInjected
from .row import BRIEF, CONFIRM_SECONDS, NEW, OLD, Fault, Row
from .tasks import is_arming

#: Its rehearsal is on a copy, which is elsewhere.
_MIGRATION = """
revision = "ffffffffffff"
down_revision = "f460b0348206"

import os
import signal

import sqlalchemy
from alembic import op

def spoil():
    op.execute("UPDATE users SET name = 'spoilt ' || id")

def work():
    op.add_column("users", sqlalchemy.Column("half_migrated", sqlalchemy.Integer))

def commit():
    op.get_bind().commit()

def upgrade():
    if op.get_bind().engine.url.database in ("/srv/jupyterhub/jupyterhub.sqlite", "jupyterhub"):
        in_the_outage()
    else:
        work()
"""
FAILS_BEFORE = """
def in_the_outage():
    raise RuntimeError("this migration breaks")
"""
FAILS_HALF_WAY = """
def in_the_outage():
    work()
    spoil()
    commit()
    raise RuntimeError("this migration breaks")
"""
FAILS_AFTER = """
def in_the_outage():
    work()
    spoil()
    op.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    commit()
    raise RuntimeError("this migration breaks")
"""
#: Leaves a hot journal: pages of its transaction are in the database, and the rollback journal beside it.
#: What that holds was spoilt and committed before, so that it is not what a restore puts there.
DIES = """
def in_the_outage():
    spoil()
    commit()
    op.execute("PRAGMA cache_size = 2")
    op.execute("PRAGMA cache_spill = 1")
    for _ in range(3):
        op.execute("CREATE TABLE IF NOT EXISTS spoilt AS SELECT hex(randomblob(2000)) AS x FROM users")
        op.execute("INSERT INTO spoilt SELECT * FROM spoilt")
        spoil()
    os.kill(os.getpid(), signal.SIGKILL)
"""
HANGS = """
def in_the_outage():
    signal.pause()
"""

#: Longer than the confirm timeout; each second of it writes to the database, which counts as a heartbeat.
WORKS = """
import time

def in_the_outage():
    with op.get_context().autocommit_block():
        op.execute("CREATE TABLE slow AS SELECT id, name FROM users")
        for second in range(40):
            op.execute(f"UPDATE slow SET name = name || {second}")
            time.sleep(1)
        op.execute("DROP TABLE slow")

def work():
    pass
"""

DIES_LATER = """
_start = JupyterHub.start

async def _start_and_die(self):
    asyncio.get_running_loop().call_later(20, os._exit, 3)
    return await _start(self)

JupyterHub.start = _start_and_die
"""

#: The one row with a rehearsal: there is no outage.
REHEARSED = ("new hub exits", "in its rehearsal")

BROKEN: dict[tuple[str, str], dict[str, str]] = {
    ("migration fails", "before its work"): {MIGRATION: _MIGRATION + FAILS_BEFORE},
    ("migration fails", "half-way"): {MIGRATION: _MIGRATION + FAILS_HALF_WAY},
    ("migration fails", "after its work"): {MIGRATION: _MIGRATION + FAILS_AFTER},
    ("migration is killed", "with a transaction on its disk"): {MIGRATION: _MIGRATION + DIES},
    ("migration hangs", "without progress"): {MIGRATION: _MIGRATION + HANGS},
    ("new hub exits", "at once"): {APP: DOES_NOT_START},
    REHEARSED: {APP: DOES_NOT_START},
    ("new hub answers 500", "when asked for its users"): {USERS: CANNOT_READ_USERS},
    ("new hub never listens", "after its start"): {APP: NEVER_ANSWERS},
    ("new hub dies", "20 s after its start"): {APP: DIES_LATER},
}
VARIABLES: dict[tuple[str, str], dict[str, Any]] = {
    REHEARSED: {"jupyterhub_rehearse": True},
    ("new hub never listens", "after its start"): {"jupyterhub_start_timeout": 25},
    ("new hub dies", "20 s after its start"): {"jupyterhub_watch_seconds": 30},
}


def faults() -> Iterator[Fault]:
    for (fault, moment), append in BROKEN.items():
        yield Fault(
            fault,
            moment,
            found_before if (fault, moment) == REHEARSED else refused,
            ends=(OLD,),
            prepare=made_of(append),
            variables={"jupyterhub_migration_timeout": 60, **VARIABLES.get((fault, moment), {})},
            selected=BRIEF if moment == "half-way" else "",
        )
    yield Fault(
        "migration is slow",
        "and works for longer than the confirm timeout",
        slow,
        ends=(NEW,),
        prepare=made_of({MIGRATION: _MIGRATION + WORKS}),
    )


def made_of(append: dict[str, str]) -> Callable[[Row], None]:
    """Have the run ask for a release with these lines."""

    def prepare(row: Row) -> None:
        row.variables.update(broken(row.hub, append))

    return prepare


def refused(row: Row) -> None:
    attempt = row.upgrade()
    row.require(attempt.end() != 0, "a release with a fault is accepted")
    # On a busy host a run may end earlier, for want of the package index.
    if "stop" not in {phase["name"] for phase in row.host.run().get("phases", [])}:
        raise NotInjected(f"the run did not come to its outage: {attempt.last_message()}")


def slow(row: Row) -> None:
    """What was staged has to be the new hub, with the revision of this release."""
    attempt = row.upgrade()
    attempt.go_to(is_arming)
    staged = row.hub.environments(suffix=f".staged-{VERSION}")
    database = {**row.new["database"], "revision": "ffffffffffff"}
    row.new = {**row.new, "environments": staged, "database": database}
    row.require(attempt.end() == 0, f"a migration that works is not waited for: {attempt.last_message()}")
    seconds = next(phase["seconds"] for phase in row.host.run()["phases"] if phase["name"] == "migrate")
    row.require(seconds > CONFIRM_SECONDS, f"the migration has taken {seconds} s only")


def found_before(row: Row) -> None:
    attempt = row.upgrade()
    row.require(attempt.end() != 0, "a release with a fault is accepted")
    said = attempt.last_message()
    row.require("rehearsal-start: The new hub exited at its start" in said, f"it says: {said}")
    row.require(row.host.run()["phase"] == "ended", f"the run has come further: {row.host.run()['phase']}")
