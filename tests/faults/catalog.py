"""All faults there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from . import controller, hosts, releases, servers
from .row import NEW, Fault, Row
from .tasks import outage


def nothing(row: Row) -> None:
    attempt = row.upgrade()
    row.require(attempt.end() == 0, f"a good upgrade fails: {attempt.last_message()}")


def faults(checkout: Path) -> Iterator[Fault]:
    """In the order of the table."""
    tasks = outage(checkout)
    yield Fault("none", "a good upgrade", nothing, ends=(NEW,))
    yield Fault("none", "a good upgrade that is completed", nothing, ends=(NEW,), prepared=True)
    yield from controller.at_each_moment(tasks)
    yield from releases.faults()
    yield from hosts.faults(tasks)
    yield from servers.faults(nothing)


def undisturbed(count: int) -> Iterator[Fault]:
    """So many good upgrades: none may be restored, not even once."""
    for number in range(1, count + 1):
        moment = f"upgrade {number} of {count}"
        yield Fault("none", moment, nothing, ends=(NEW,), heals=False, prepared=number > 1)
