"""Helm and the controller are killed at every moment of an upgrade, and other ends of one.

They take too long for every run of the suite: ``make clusters-killed``. `test_z2jh_upgrade.py` has two of
the moments of Helm, and one of the controller. Each test finds the release as it was installed, and leaves
it so: any worker may take it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import guard
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import find

from tests import REPOSITORY
from tests.clusters.door import MOMENTS, door
from tests.clusters.releases import (
    NEW,
    NEW_HUB,
    access,
    assert_is_new,
    assert_is_old,
    assert_nothing_is_lost,
    go_back,
    old_release,
    old_state,
)
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import VALUES, Release, State

#: Files with the tasks of an upgrade, from the first one that changes something on.
FILES = ("protect", "main", "accept")
RESTORE_SECONDS, PENDING_SECONDS = 300, 600
pytestmark = pytest.mark.alone


def tasks() -> list[str]:
    """As Ansible prints them: whoever adds one adds a moment."""
    folder = REPOSITORY / "roles" / "z2jh_upgrade" / "tasks"
    return [task["name"] for file in FILES for task in yaml.safe_load((folder / f"{file}.yml").read_text())]


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release of chart 3 with three users, of which ada has a running server and a file in her volume."""
    with old_release(cluster, charts, tmp_path_factory.mktemp("release"), "killed") as made:
        yield made


@pytest.fixture
def before(release: Release) -> State:
    """The release as it was installed, also after each test that has killed something."""
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


@pytest.mark.parametrize("task", tasks())
def test_the_controller(release: Release, before: State, task: str) -> None:
    process = release.start_playbook_apart("z2jh_upgrade.yml", **release.wanted(NEW))
    assert process.stdout
    is_reached = False
    for line in process.stdout:
        if line.startswith("TASK [") and task in line:
            is_reached = True
            process.kill()
    process.wait()
    assert is_reached
    assert_next_run_ends_it(release, before)


@pytest.mark.parametrize(
    "moment", ["its revision is pending", "hub changed, proxy not yet", "all is written"]
)
def test_the_controller_with_its_helm(release: Release, before: State, moment: str, tmp_path: Path) -> None:
    started: list[int] = []

    def cut() -> bool:
        os.kill(started[0], signal.SIGKILL)
        return False

    with door(release.cluster, tmp_path / "door", MOMENTS[moment], cut) as passed:
        wanted = {**release.wanted(NEW), "z2jh_helm": str(passed.program)}
        process = release.start_playbook_apart("z2jh_upgrade.yml", **wanted)
        started.append(process.pid)
        process.communicate()
    assert passed.is_over, passed.written
    assert_next_run_ends_it(release, before)


def test_servers_are_stopped_for_it_where_that_is_wanted(release: Release, before: State) -> None:
    status, printed = release.upgrade(NEW, z2jh_running_servers="stop")
    assert status == 0, printed
    state = release.state()
    assert (state.chart, state.jupyterhub, state.users) == (NEW, NEW_HUB, before.users)
    assert state.servers == {}
    release.start_server("ada")
    assert release.in_server("ada", "cat ~/mine.txt") == "mine\n"
    assert release.state().volumes == before.volumes
    status, printed = release.playbook("z2jh_rollback.yml")
    assert status == 0, printed
    assert "since they were started later, were stopped: ada." in printed
    release.wait("ada's pod is gone", lambda: release.state().servers == {})
    release.start_server("ada")
    assert release.state().volumes == before.volumes
    assert_nothing_is_lost(release)


def test_a_hub_whose_image_is_not_there_ends_in_the_old_one(release: Release, before: State) -> None:
    """Where nothing was rehearsed."""
    image = {"name": "hubops-test/none", "tag": "none", "pullPolicy": "Never"}
    values = release.file("none.json", {**VALUES, "hub": {**VALUES["hub"], "image": image}})
    status, printed = release.upgrade(NEW, z2jh_values_files=[str(values)])
    assert status != 0
    assert "ErrImageNeverPull" in printed, printed
    assert "The old release serves again" in printed
    assert_is_old(release, before)


def assert_next_run_ends_it(release: Release, before: State) -> None:
    """The first task of another run ends one that was cut off: the old release, unless it was accepted."""
    there = access(release)
    guard.resume(there, find(there), RESTORE_SECONDS, PENDING_SECONDS, time.time())
    if release.state().chart == NEW:
        assert_is_new(release, before)
        go_back(release, before)
    else:
        assert_is_old(release, before)
