"""A release with its database in a MariaDB server is upgraded, and rolled back with every row.

The tests share a release and take place in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.servers import (
    MARIADB,
    PASSWORD,
    assert_is_rolled_back_without_edsger,
    assert_is_upgraded,
    in_server,
    release_beside,
    users_of,
)
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import VALUES, Release

# PyMySQL takes a password from nowhere else.
URL = f"mysql+pymysql://hub:{PASSWORD}@database:3306/jupyterhub"
#: What a hub that only runs does not change.
ROWS = (
    "SELECT 'revision', version_num FROM alembic_version",
    "SELECT 'user', id, name, admin, created, cookie_id FROM users ORDER BY id",
    # Of a person without a server a hub writes a row when it is asked for that person.
    "SELECT 'spawner', id, user_id, server_id, name, state FROM spawners WHERE server_id > 0 ORDER BY id",
    "SELECT 'token', id, user_id, service_id, hashed, prefix, created FROM api_tokens ORDER BY id",
    "SELECT 'column', TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME, COLUMN_KEY, COLUMN_DEFAULT "
    "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY 2, ORDINAL_POSITION",
)


def values() -> dict[str, Any]:
    """The values of the release."""
    # An idle hub looks at its database when it writes activity; the tests do not wait 300 s for that.
    config = {**VALUES["hub"]["config"], "JupyterHub": {"last_activity_interval": 5}}
    return {**VALUES, "hub": {**VALUES["hub"], "db": {"type": "mysql", "url": URL}, "config": config}}


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    with release_beside(MARIADB, cluster, charts, tmp_path_factory.mktemp("release"), values()) as made:
        yield made


def rows(release: Release) -> list[str]:
    """The rows of the hub's database, and its columns."""
    argv = ("mariadb", "--socket=/run/mysqld/mysqld.sock", "--batch", "--skip-column-names", "jupyterhub")
    return in_server(release, *argv, "--execute", ";".join(ROWS))


@pytest.fixture(scope="module")
def before(release: Release) -> list[str]:
    found = rows(release)
    assert users_of(found)
    return found


def test_an_upgrade_is_rehearsed_migrates_the_database_and_leaves_no_switch_behind(
    release: Release, before: list[str]
) -> None:
    printed = assert_is_upgraded(release, z2jh_rehearse=True, z2jh_check_images=False)
    assert "database-not-rehearsed" not in printed
    assert users_of(rows(release)) == users_of(before)


def test_a_rollback_later_restores_the_old_rows_and_names_who_is_lost(
    release: Release, before: list[str]
) -> None:
    printed = assert_is_rolled_back_without_edsger(release)
    assert "with the dump that was made when the hub had stopped" in printed
    assert rows(release) == before
