"""A release as most tests find it: of chart 3, with a running server, and what must be of it in the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access

from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import Release, State

OLD, NEW = "3.3.8", "4.3.5"
OLD_HUB, NEW_HUB = "4.1.6", "5.4.6"
FILE = "~/mine.txt"


@contextlib.contextmanager
def old_release(cluster: Cluster, charts: dict[str, Path], folder: Path, name: str) -> Iterator[Release]:
    """A release with three users, of which ada has a running server and a file in her volume."""
    made = Release(cluster, charts, folder, f"{name}-{os.getpid()}")
    try:
        made.install(OLD)
        made.start_server("ada")
        made.in_server("ada", f"echo mine > {FILE}")
        yield made
    finally:
        made.remove()


def old_state(release: Release) -> State:
    """The state of a release that is the one which was installed."""
    state = release.state()
    assert (state.chart, state.jupyterhub) == (OLD, OLD_HUB)
    assert state.users == ("ada", "admin", "bob")
    assert "ada" in "".join(state.volumes) and list(state.servers) == ["jupyter-ada"]
    assert [row for row in state.rows if row.startswith("user|")]
    return state


def assert_is_old(release: Release, before: State) -> None:
    """It is as it was, to each row and each volume, and nothing of a run is left."""
    assert release.state() == before
    assert_nothing_is_lost(release)


def assert_is_new(release: Release, before: State) -> None:
    """It is the new one, with all that people had of the old one, and nothing of a run is left."""
    now = release.state()
    assert (now.chart, now.jupyterhub) == (NEW, NEW_HUB)
    assert (now.users, now.servers) == (before.users, before.servers)
    # A person whose server was tried may have got a volume.
    assert before.volumes.items() <= now.volumes.items()
    # Of the rows those whose columns the new hub's schema has as well.
    assert {row for row in before.rows if row.startswith(("user|", "token|"))} <= set(now.rows)
    assert_nothing_is_lost(release)


def assert_nothing_is_lost(release: Release) -> None:
    assert release.in_server("ada", f"cat {FILE}") == "mine\n"
    assert release.guards() == []
    assert not pending(release)


def go_back(release: Release, before: State) -> None:
    """Roll it back to what it was."""
    status, printed = release.playbook("z2jh_rollback.yml")
    assert status == 0, printed
    assert_is_old(release, before)


def pending(release: Release) -> bool:
    """Whether Helm takes itself to be at work."""
    return any(each["status"].startswith("pending") for each in release.helm("history", "hub"))


def access(release: Release) -> Access:
    """How the collection's own code gets at it."""
    cluster = release.cluster
    return Access(
        kubeconfig=str(cluster.kubeconfig),
        namespace=release.namespace,
        helm=str(cluster.helm4_program),
        kubectl=str(cluster.kubectl_program),
    )
