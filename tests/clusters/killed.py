"""Helm is killed at ten moments of an upgrade, and the upgrade is run again.

It takes too long for every run of the suite: ``make clusters-killed``. `test_z2jh_upgrade.py` has two of
the moments. All share a release.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.door import MOMENTS, door
from tests.clusters.releases import NEW, assert_is_new, assert_is_old, go_back, old_release, old_state
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import Release, State


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    with old_release(cluster, charts, tmp_path_factory.mktemp("release"), "killed") as made:
        yield made


@pytest.fixture
def before(release: Release) -> State:
    """The release as it was installed: by each test before, too."""
    return old_state(release)


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


def assert_another_run_ends_in_the_new_one(release: Release, before: State) -> None:
    status, printed = release.upgrade(NEW)
    assert status == 0, printed
    assert_is_new(release, before)
