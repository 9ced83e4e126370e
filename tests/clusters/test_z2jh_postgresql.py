"""A release with its database in a PostgreSQL server ends in the new hub or in the old one, with every row.

The tests share a release and take place in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.releases import NEW, NEW_HUB
from tests.clusters.servers import (
    PASSWORD,
    POSTGRESQL,
    assert_is_rolled_back_without_edsger,
    assert_is_upgraded,
    assert_nothing_is_left,
    in_server,
    rehearse,
    release_beside,
    users_of,
)
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import VALUES, Release

IS_LONG = True
URL = "postgresql+psycopg2://hub@database:5432/jupyterhub"
#: It starts only after the database was migrated, and then raises.
BROKEN = """
from jupyterhub.auth import DummyAuthenticator
class Broken(DummyAuthenticator):
    def __init__(self, *args, **kwargs):
        raise RuntimeError("broken on purpose")
c.JupyterHub.authenticator_class = Broken
"""
#: What a hub that only runs does not change.
ROWS = (
    "SELECT 'revision', version_num FROM alembic_version",
    "SELECT 'user', id, name, admin, created, cookie_id FROM users ORDER BY id",
    # Of a person without a server a hub writes a row when it is asked for that person.
    "SELECT 'spawner', id, user_id, server_id, name, state FROM spawners WHERE server_id > 0 ORDER BY id",
    "SELECT 'token', id, user_id, service_id, hashed, prefix, created FROM api_tokens ORDER BY id",
    "SELECT 'table', table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 2",
    "SELECT 'owner', tablename, tableowner FROM pg_tables WHERE schemaname = 'public' ORDER BY 2",
)


def values(**hub: Any) -> dict[str, Any]:
    """The values of the release, with others for the hub."""
    database = {"type": "postgres", "url": URL, "password": PASSWORD}
    return {**VALUES, "hub": {**VALUES["hub"], "db": database, **hub}}


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    with release_beside(POSTGRESQL, cluster, charts, tmp_path_factory.mktemp("release"), values()) as made:
        yield made


def rows(release: Release) -> list[str]:
    """The rows of the hub's database, and whose its tables are."""
    argv = ("psql", "-h", "/tmp", "-U", "postgres", "-XAt", "-v", "ON_ERROR_STOP=1", "-d", "jupyterhub")
    return in_server(release, *argv, *(word for query in ROWS for word in ("-c", query)))


@pytest.fixture(scope="module")
def before(release: Release) -> list[str]:
    found = rows(release)
    assert users_of(found)
    return found


def test_a_rehearsal_migrates_a_copy_and_leaves_the_database_as_it_is(
    release: Release, before: list[str]
) -> None:
    rehearsed = rehearse(release, NEW, values())
    assert [each.id for each in rehearsed.findings] == []
    assert rehearsed.version == NEW_HUB
    users = len(users_of(before))
    assert rehearsed.rows["users"] == {"before": users, "after": users}
    assert rows(release) == before
    assert_nothing_is_left(release)


def test_a_hub_that_fails_after_its_migration_ends_in_the_old_one_with_every_row(
    release: Release, before: list[str]
) -> None:
    state = release.state()
    broken = release.file("broken.json", values(extraConfig={"broken": BROKEN}))
    status, printed = release.upgrade(NEW, z2jh_values_files=[str(broken)])
    assert status != 0
    assert "broken on purpose" in printed, printed
    assert "The old release serves again" in printed
    assert "with the dump that was made when the hub had stopped" in printed
    assert PASSWORD not in printed
    assert rows(release) == before
    assert release.state() == state
    assert_nothing_is_left(release)


def test_with_evidence_alone_the_old_hub_waits_for_whoever_restores_the_database(
    release: Release, before: list[str]
) -> None:
    state = release.state()
    kept = ("su", "postgres", "-s", "/bin/sh", "-c")
    in_server(release, *kept, "pg_dump -h /tmp -Fc -f /tmp/snapshot jupyterhub")
    evidence = {"what": "/tmp/snapshot", "when": "a moment ago", "restore": "Restore it by pg_restore."}
    broken = release.file("broken.json", values(extraConfig={"broken": BROKEN}))
    upgrade = {"z2jh_values_files": [str(broken)], "z2jh_database_evidence": evidence}
    status, printed = release.upgrade(NEW, **upgrade)
    assert status != 0
    assert "database-by-hand: /tmp/snapshot, of a moment ago." in printed
    assert release.state() == state
    status, printed = release.upgrade(NEW, jupyterhub_accept=["database-by-hand"], **upgrade)
    assert status != 0
    assert "broken on purpose" in printed
    assert "The hub is at 0 pods until its database is restored by hand: /tmp/snapshot" in printed
    assert "Restore it by pg_restore." in printed
    # It was migrated, and whoever has not restored it is told again.
    assert rows(release) != before
    status, printed = release.playbook("z2jh_rollback.yml")
    assert status != 0
    assert "Restore it by pg_restore." in printed
    assert release.get("deployment", "hub")["spec"]["replicas"] == 0
    restore = "psql -h /tmp -qc 'DROP DATABASE jupyterhub WITH (FORCE)' && pg_restore -h /tmp -C -d postgres"
    in_server(release, *kept, f"{restore} /tmp/snapshot")
    status, printed = release.playbook("z2jh_rollback.yml", z2jh_database_restored=True)
    assert status == 0, printed
    assert "with the database as it was restored by hand" in printed
    assert rows(release) == before
    assert release.state() == state
    assert_nothing_is_left(release)


def test_an_upgrade_migrates_the_database_and_leaves_no_switch_behind(
    release: Release, before: list[str]
) -> None:
    assert_is_upgraded(release)
    assert users_of(rows(release)) == users_of(before)
    [container] = release.get("deployment", "hub")["spec"]["template"]["spec"]["containers"]
    assert "--upgrade-db" not in container["args"]


def test_a_rollback_later_restores_the_old_rows_and_names_who_is_lost(
    release: Release, before: list[str]
) -> None:
    assert_is_rolled_back_without_edsger(release)
    assert rows(release) == before
