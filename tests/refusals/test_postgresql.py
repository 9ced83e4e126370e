"""A hub with PostgreSQL whose host or whose server is not ready for an upgrade."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.testbed import Hub

from .refusal import refusal

PG_DUMP = "/usr/lib/postgresql/15/bin/pg_dump"
NAME = "postgresql://jupyterhub:***@localhost/jupyterhub"


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[Hub]:
    with Hub.start("postgresql") as started:
        yield started


def sql(hub: Hub, statement: str) -> None:
    hub.exec(["runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-d", "jupyterhub", "-c", statement])


def test_without_clients(on_postgresql: Hub) -> None:
    with moved(on_postgresql, PG_DUMP):
        said = refusal(on_postgresql)
    assert "PostgreSQL's psql, pg_dump, pg_restore are not on this host." in said
    assert "Install the package postgresql-client." in said


def test_a_role_that_may_not_make_databases(on_postgresql: Hub) -> None:
    sql(on_postgresql, "ALTER ROLE jupyterhub NOCREATEDB")
    try:
        said = refusal(on_postgresql)
    finally:
        sql(on_postgresql, "ALTER ROLE jupyterhub CREATEDB")
    assert f"The hub's role may not make databases, so {NAME} cannot be copied." in said
    assert 'CREATE DATABASE "jupyterhub_hubops_scratch" OWNER "jupyterhub";' in said


def test_somebody_in_a_transaction(on_postgresql: Hub) -> None:
    psql = ["runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-d", "jupyterhub"]
    with on_postgresql.running(psql) as process:
        assert process.stdin and process.stdout
        process.stdin.write("BEGIN; SELECT 'is in a transaction' FROM users LIMIT 1;\n")
        process.stdin.flush()
        assert process.stdout.readline() == "is in a transaction\n"
        said = refusal(on_postgresql)
    assert f"Connected to {NAME}: (psql of postgres, process " in said
    assert "End them, or have them ended in the outage: jupyterhub_database_sessions: end." in said
    assert "jupyterhub_accept: [database-sessions]" in said


def test_tables_of_another_role(on_postgresql: Hub) -> None:
    sql(on_postgresql, "ALTER TABLE groups OWNER TO postgres")
    try:
        said = refusal(on_postgresql)
    finally:
        sql(on_postgresql, "ALTER TABLE groups OWNER TO jupyterhub")
    assert f"In {NAME}: groups (postgres's)." in said


@contextlib.contextmanager
def moved(hub: Hub, path: str) -> Iterator[None]:
    """A file that is not there."""
    hub.exec(["mv", path, f"{path}.away"])
    try:
        yield
    finally:
        hub.exec(["mv", f"{path}.away", path])
