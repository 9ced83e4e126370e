"""The node of the hub loses its power in the middle of an upgrade: a part of ``make clusters-killed``."""

from __future__ import annotations

import contextlib
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.door import MOMENTS, door
from tests.clusters.releases import NEW, OLD, assert_nothing_is_lost, old_release, old_state
from tests.testbed.kubernetes import Cluster, OneNode
from tests.testbed.z2jh.release import Release, State

CUTS_POWER = True


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    with old_release(cluster, charts, tmp_path_factory.mktemp("release"), "node") as made:
        yield made


@pytest.mark.parametrize(
    "moment", ["its revision is pending", "hub changed, proxy not yet", "all is written"]
)
def test_an_upgrade_through_a_power_cut_ends_in_the_old_release_or_in_the_new_one(
    release: Release, moment: str, tmp_path: Path
) -> None:
    """Helm waits meanwhile for its answer, and the guard starts again with the node."""
    cluster, before, ended = release.cluster, old_state(release), release.containers()
    assert isinstance(cluster, OneNode), "The power of a cluster that somebody else gives is not cut."

    def cut() -> bool:
        cluster.stop()
        cluster.start()
        return True

    with door(cluster, tmp_path / "door", MOMENTS[moment], cut) as passed:
        status, printed = release.upgrade(NEW, z2jh_helm=str(passed.program))
    assert passed.is_over, passed.written
    release.wait_for_pods(ended)
    if status:
        assert "The old release serves again" in printed
    assert_is_whole(release, before, OLD if status else NEW)
    if not status:
        status, printed = release.playbook("z2jh_rollback.yml")
        assert status == 0, printed
        assert_is_whole(release, before, OLD)


def assert_is_whole(release: Release, before: State, chart: str) -> None:
    """It has this chart, everybody, every volume and every token. A server may have ended without power."""
    release.wait("ada's server runs, or again", lambda: is_running_or_starts(release))
    now = release.state()
    assert (now.chart, now.users, now.volumes) == (chart, before.users, before.volumes)
    rows = {row for row in before.rows if row.startswith(("user|", "token|"))}
    assert rows and rows <= set(now.rows)
    assert_nothing_is_lost(release)


def is_running_or_starts(release: Release) -> bool:
    server = release.ask("GET", "/users/ada")["servers"].get("")
    if not server:
        # Where the hub has begun to start it meanwhile, it says so.
        with contextlib.suppress(urllib.error.HTTPError):
            release.ask("POST", "/users/ada/server")
        return False
    return bool(server["ready"])
