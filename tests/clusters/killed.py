"""Helm is killed at ten moments of an upgrade, and the upgrade is run again.

It takes too long for every run of the suite: ``make clusters-killed``. `test_z2jh_upgrade.py` has two of
the moments. All share a release.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.door import MOMENTS, door
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import Release, State

OLD, NEW = "3.3.8", "4.3.5"
OLD_HUB, NEW_HUB = "4.1.6", "5.4.6"


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release of chart 3 with three users, of which ada has a running server and a file in her volume."""
    made = Release(cluster, charts, tmp_path_factory.mktemp("release"), f"killed-{os.getpid()}")
    made.install(OLD)
    made.start_server("ada")
    made.in_server("ada", "echo mine > ~/mine.txt")
    yield made
    made.remove()


@pytest.fixture
def before(release: Release) -> State:
    """The release as it was installed: by each test before, too."""
    state = release.state()
    assert (state.chart, state.jupyterhub) == (OLD, OLD_HUB)
    assert state.users == ("ada", "admin", "bob")
    assert len(state.volumes) == len(state.servers) == 1
    assert [row for row in state.rows if row.startswith("user|")]
    return state


@pytest.mark.parametrize("moment", MOMENTS)
def test_helm(release: Release, before: State, moment: str, tmp_path: Path) -> None:
    """Each one is another run of the upgrade that was killed before."""
    with door(release.cluster, tmp_path / "door", MOMENTS[moment]) as passed:
        status, printed = release.upgrade(NEW, z2jh_helm=str(passed.program))
    assert passed.is_over, passed.written
    assert status != 0
    assert "helm upgrade was killed by the signal 9" in printed
    assert_is_old(release, before)


def test_another_run_after_all_of_these(release: Release, before: State) -> None:
    assert_another_run_ends_in_the_new_one(release, before)
    go_back(release, before)


def assert_is_old(release: Release, before: State) -> None:
    assert release.state() == before
    assert release.in_server("ada", "cat ~/mine.txt") == "mine\n"
    assert release.guards() == []
    assert not [each for each in release.helm("history", "hub") if each["status"].startswith("pending")]


def assert_another_run_ends_in_the_new_one(release: Release, before: State) -> None:
    status, printed = release.upgrade(NEW)
    assert status == 0, printed
    assert_is_new(release, before)


def assert_is_new(release: Release, before: State) -> None:
    now = release.state()
    assert (now.chart, now.jupyterhub) == (NEW, NEW_HUB)
    assert (now.users, now.volumes, now.servers) == (before.users, before.volumes, before.servers)
    # Of the rows those whose columns the new hub's schema has as well.
    assert {row for row in before.rows if row.startswith(("user|", "token|"))} <= set(now.rows)
    assert release.in_server("ada", "cat ~/mine.txt") == "mine\n"
    assert release.guards() == []


def go_back(release: Release, before: State) -> None:
    status, printed = release.playbook("z2jh_rollback.yml")
    assert status == 0, printed
    assert_is_old(release, before)
