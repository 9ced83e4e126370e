"""The driver follows from the URL and from the SQLAlchemy that is going to read it."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import drivers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import (
    DatabaseFacts,
    ServerFacts,
)


@pytest.mark.parametrize(
    ("driver", "sqlalchemy", "installed", "missing"),
    [
        ("", "1.4.54", {"psycopg2"}, []),
        ("", "2.0.49", {"psycopg2-binary"}, []),
        ("", "2.0.49", set(), ["psycopg2-binary"]),
        ("", "2.1.9", {"psycopg2-binary"}, ["psycopg[binary]"]),
        ("", "2.1.9", {"psycopg"}, []),
        ("", "", set(), ["psycopg2-binary", "psycopg[binary]"]),
        ("psycopg2", "2.1.9", {"psycopg2-binary"}, []),
        ("psycopg2", "2.1.9", {"psycopg"}, ["psycopg2-binary"]),
        ("psycopg", "2.0.49", set(), ["psycopg[binary]"]),
        ("asyncpg", "2.0.49", set(), []),
    ],
)
def test_postgresql(driver: str, sqlalchemy: str, installed: set[str], missing: list[str]) -> None:
    facts = DatabaseFacts(
        "postgresql", "postgresql://db/hub", server=ServerFacts("PostgreSQL"), driver=driver
    )
    assert drivers.missing(facts, sqlalchemy, installed) == missing
    assert drivers.is_known(facts) == (driver != "asyncpg")


def test_a_file_needs_none() -> None:
    facts = DatabaseFacts("sqlite", "sqlite:///jupyterhub.sqlite", "/srv/jupyterhub.sqlite")
    assert drivers.missing(facts, "2.1.9", ()) == []
    assert drivers.is_known(facts)
