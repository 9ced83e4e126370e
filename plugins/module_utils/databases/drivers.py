"""Drivers: the Python packages with which SQLAlchemy reaches a server's database."""

from __future__ import annotations

from typing import Collection, NamedTuple

from ..releases.requirements import seems_to_satisfy
from .facts import DatabaseFacts


class Driver(NamedTuple):
    """A driver and the packages that have it; ``requirement`` is installed where none of them is there."""

    packages: tuple[str, ...]
    requirement: str


_PSYCOPG2 = Driver(("psycopg2", "psycopg2-binary"), "psycopg2-binary")
_PSYCOPG = Driver(("psycopg",), "psycopg[binary]")
#: By kind of database, and the URL's name of the driver; '' where SQLAlchemy chooses.
DRIVERS = {
    ("postgresql", "psycopg2"): _PSYCOPG2,
    ("postgresql", "psycopg"): _PSYCOPG,
}
#: What SQLAlchemy chooses: its versions, and the driver.
DEFAULTS = {"postgresql": (("<2.1", _PSYCOPG2), (">=2.1", _PSYCOPG))}


def is_known(facts: DatabaseFacts) -> bool:
    """Whether the URL names a driver that can be used here, or none; a file needs no driver."""
    return facts.server is None or not facts.driver or (facts.kind, facts.driver) in DRIVERS


def missing(facts: DatabaseFacts, sqlalchemy: str, installed: Collection[str]) -> list[str]:
    """Requirements for the driver that an environment with this SQLAlchemy needs, and does not have.

    ``sqlalchemy`` is '' where that is not known: then drivers for all versions.
    """
    wanted = _wanted(facts, sqlalchemy)
    return [each.requirement for each in wanted if not set(each.packages) & set(installed)]


def _wanted(facts: DatabaseFacts, sqlalchemy: str) -> list[Driver]:
    named = DRIVERS.get((facts.kind, facts.driver))
    if named or facts.driver:
        return [named] if named else []
    chosen = DEFAULTS.get(facts.kind, ())
    return [
        driver
        for versions, driver in chosen
        if not sqlalchemy or seems_to_satisfy(sqlalchemy, versions, True)
    ]
