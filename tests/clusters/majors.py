"""A release with its database in a PostgreSQL server goes through all majors of the chart, and back by one.

It takes too long for every run of the suite: ``make clusters-killed``. The molecule scenario ``z2jh`` has one
with SQLite.
"""

from __future__ import annotations

from pathlib import Path

from tests.clusters.servers import (
    PASSWORD,
    POSTGRESQL,
    assert_nothing_is_left,
    in_server,
    release_beside,
)
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import VALUES, Release

URL = "postgresql+psycopg2://hub@database:5432/jupyterhub"
DATABASE = {"type": "postgres", "url": URL, "password": PASSWORD}
FIRST = "1.2.0"
HUBS = {"2.0.0": "3.0.0", "3.3.8": "4.1.6", "4.3.5": "5.4.6"}
#: Tokens are none of them: JupyterHub 2 has dropped all that there were.
ROWS = "SELECT id, name, admin, created, cookie_id FROM users ORDER BY id"


def test_postgresql(cluster: Cluster, charts: dict[str, Path], tmp_path: Path) -> None:
    values = {**VALUES, "hub": {**VALUES["hub"], "db": DATABASE}}
    with release_beside(POSTGRESQL, cluster, charts, tmp_path, values, FIRST) as release:
        release.in_server("ada", "echo mine > ~/mine.txt")
        people, volumes = users(release), release.volumes()
        assert len(people) == 3
        for version, hub in HUBS.items():
            status, printed = release.upgrade(version, z2jh_running_servers="stop", z2jh_rehearse=True)
            assert status == 0, printed
            state = release.state()
            assert (state.chart, state.jupyterhub) == (version, hub)
            assert users(release) == people
            assert "upgrade" not in release.helm("get", "values", "hub")["hub"]["db"]
            assert_nothing_is_left(release)
        assert_has_her_files(release, volumes)

        status, printed = release.playbook("z2jh_rollback.yml")
        assert status == 0, printed
        state = release.state()
        assert (state.chart, state.jupyterhub) == ("3.3.8", "4.1.6")
        assert users(release) == people
        assert_nothing_is_left(release)
        assert_has_her_files(release, volumes)


def users(release: Release) -> list[str]:
    """The rows of users, as the database's server has them."""
    argv = ("psql", "-h", "/tmp", "-U", "postgres", "-XAt", "-v", "ON_ERROR_STOP=1", "-d", "jupyterhub")
    return in_server(release, *argv, "-c", ROWS)


def assert_has_her_files(release: Release, volumes: dict[str, str]) -> None:
    """Her server, started anew, has the volume that it had at the beginning."""
    release.start_server("ada")
    assert release.in_server("ada", "cat ~/mine.txt") == "mine\n"
    now = release.volumes()
    assert {name: now.get(name) for name in volumes} == volumes
    release.stop_server("ada")
