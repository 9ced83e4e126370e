"""Where a hub's role may not make databases, copies are in an administrator's, or made by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import fresh_start, schema
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import (
    Access,
    CopiesConfig,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict

from tests.hubs.databases.servers import KINDS, PASSWORD, SQLALCHEMY, Kind, Place, empty_place
from tests.hubs.real_hub import environment, fill_database
from tests.testbed.databases import Server
from tests.testbed.databases.mysql import Mysql

#: For all copies that an administrator lends.
LENT = "lent_scratch"
NEW = "6.1.1"


@pytest.fixture(scope="module", params=["postgresql-15", "mariadb-10.11"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def server(kind: Kind) -> Iterator[Server]:
    with kind.start() as server:
        server.make_role("lender", PASSWORD, may_copy=False)
        server.make_database(LENT, "lender")
        yield server


@pytest.fixture
def empty(server: Server, kind: Kind, tmp_path: Path) -> Place:
    """A hub's database, of which its role may make no copy."""
    return empty_place(server, kind, tmp_path, may_copy=False)


@pytest.fixture
def place(empty: Place, kind: Kind) -> Place:
    """The same with what a hub has in it."""
    fill_database(environment("4.1.6", *kind.packages), empty.config.url)
    return empty


def with_copies(place: Place, **urls: str) -> Place:
    return place._replace(config=replace(place.config, copies=CopiesConfig(**urls)))


def is_copied_and_used(place: Place, kind: Kind) -> None:
    """The database can be copied, and the copy is the hub's: programs of the hub change its schema."""
    alone = find_database(replace(place.config, copies=None), place.context, SQLALCHEMY, 5)
    assert alone.server and alone.server.no_copies
    facts = find_database(place.config, place.context, SQLALCHEMY, 5)
    assert facts.problem is None and facts.server and facts.server.no_copies == ""
    database, target = place.database(), environment(NEW, *kind.packages)
    before = place.server.content(place.name)
    with database.scratch(place.context) as folder:
        for name in ("first", "second"):
            copy = database.copy(folder, place.context, name)
            assert copy.contents() == database.contents()
        fresh_start.start_fresh(copy, place.context, str(target), stopped=True, timeout=60)
        assert copy.contents().revision == schema.head_revision(target)
    assert place.server.content(place.name) == before


def test_a_database_that_an_administrator_has_made_is_emptied_and_stays(place: Place, kind: Kind) -> None:
    url = place.server.url("lender", PASSWORD, LENT)
    lent = with_copies(place, scratch_url=url)
    is_copied_and_used(lent, kind)
    assert lent.databases() == [place.name] and LENT in place.server.databases()
    scratch = lent.database().scratch_copy
    assert scratch.contents().rows == {}
    access = lent.database().access
    assert from_dict(Access, to_dict(access)) == access
    assert PASSWORD not in repr(lent.config) + repr(access)


def test_an_administrators_role_makes_the_database_and_removes_it(place: Place, kind: Kind) -> None:
    server = place.server
    server.make_role("admin", PASSWORD)
    if isinstance(server, Mysql):
        server.sql("GRANT ALL ON *.* TO 'admin'@'localhost' WITH GRANT OPTION")
    else:
        server.sql("ALTER ROLE admin SUPERUSER")
    database = "mysql" if isinstance(server, Mysql) else "postgres"
    made = with_copies(place, admin_url=server.url("admin", PASSWORD, database))
    is_copied_and_used(made, kind)
    assert made.databases() == [place.name]


@pytest.mark.parametrize(
    ("user", "name", "words"),
    [
        ("{own}", "{own}", "may be more than a database for copies, which are emptied.*'scratch' in it"),
        ("lender", "nobody_scratch", "nobody_scratch .*cannot be used"),
    ],
)
def test_what_is_no_database_for_copies(empty: Place, user: str, name: str, words: str) -> None:
    url = empty.server.url(user.format(own=empty.name), PASSWORD, name.format(own=empty.name))
    assert re.search(words, refusal(with_copies(empty, scratch_url=url)))


def test_a_database_of_another_kind(empty: Place) -> None:
    said = refusal(with_copies(empty, scratch_url="sqlite:///scratch"))
    assert "sqlite:///scratch is not of the kind of the hub's database" in said


def refusal(place: Place) -> str:
    try:
        return find_database(place.config, place.context, SQLALCHEMY, 5).problem or ""
    except HubError as error:
        return str(error)
