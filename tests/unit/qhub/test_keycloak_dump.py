"""Dumps of Keycloak's database. ``keycloak.sql`` has rows of one that pg_dump 15 made of Keycloak 26.0's."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import keycloak_dump, nebari_export
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.config import parse

DUMP = Path(__file__).with_name("keycloak.sql").read_text()
START = "COPY public.user_entity ("


def without_rows_of(table: str) -> str:
    """What a dump is whose table has lost its rows."""
    before, _mark, rest = DUMP.partition(f"COPY public.{table} (")
    head, _newline, rows = rest.partition("\n")
    return f"{before}COPY public.{table} ({head}\n\\.\n{rows.partition(chr(92) + '.' + chr(10))[2]}"


def test_users_and_groups_of_the_realm_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "keycloak-backup.sql"
    path.write_text(DUMP)
    found = keycloak_dump.read(path, "nebari")
    assert (found.users, found.groups) == ({"ada", "grace", "service-x"}, 3)
    # Keycloak's own administrator is of another realm.
    assert keycloak_dump.read(path, "master").users == {"root"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no whole dump: its end is missing"),
        (DUMP[: DUMP.index(START) + 400], "no whole dump: its end is missing"),
        (without_rows_of("user_entity"), "has no user of the realm nebari"),
        ("pg_dump: error: connection failed\n", "no whole dump"),
        ("--\n-- PostgreSQL database dump complete\n--\n", "it has no realm, user_entity, keycloak_group"),
    ],
)
def test_a_dump_that_would_lose_users_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "keycloak-backup.sql"
    path.write_text(content)
    with pytest.raises(HubError, match=message):
        keycloak_dump.read(path, "nebari")


def test_a_dump_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"keycloak-backup.sql cannot be read: No such file"):
        keycloak_dump.read(tmp_path / "keycloak-backup.sql", "nebari")


def test_environments_are_those_of_the_config() -> None:
    config = parse(
        "domain: x.example.org\nenvironments:\n  a.yaml:\n    name: a\n    dependencies:\n    - python\n"
        "  b.yaml:\n    name: b\nsecurity:\n  authentication:\n    type: password\n"
    )
    assert nebari_export.environments(config) == {
        "a.yaml": "name: a\ndependencies:\n- python\n",
        "b.yaml": "name: b\n",
    }
    assert nebari_export.environments(parse("domain: x.example.org\n")) == {}
