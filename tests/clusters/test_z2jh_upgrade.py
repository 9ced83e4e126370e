"""An upgrade in a real cluster ends in the new release or in the old one, with every row and every volume.

The tests share a release and take place in their order, for its installation and its servers take a minute.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import guard
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import DatabaseBackup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.recovery import (
    RecoveryPoint,
    read_objects,
)

from tests.clusters.door import MOMENTS, door
from tests.clusters.releases import (
    NEW,
    NEW_HUB,
    OLD,
    OLD_HUB,
    assert_is_new,
    assert_is_old,
    old_release,
    old_state,
    pending,
)
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import VALUES, Release, State

PATIENCE = 30
IS_LONG = True
CHECK = "hubops-check"
#: It starts only after the database was migrated, and then raises.
BROKEN = """
from jupyterhub.auth import DummyAuthenticator
class Broken(DummyAuthenticator):
    def __init__(self, *args, **kwargs):
        raise RuntimeError("broken on purpose")
c.JupyterHub.authenticator_class = Broken
"""


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    with old_release(cluster, charts, tmp_path_factory.mktemp("release"), "upgrade") as made:
        yield made


@pytest.fixture(scope="module")
def before(release: Release) -> State:
    return old_state(release)


def hub(**values: Any) -> dict[str, Any]:
    """The values of the release with others for the hub."""
    return {**VALUES, "hub": {**VALUES["hub"], **values}}


def test_a_hub_that_fails_after_its_migration_ends_in_the_old_one_with_its_rows(
    release: Release, before: State
) -> None:
    values = release.file("broken.json", hub(extraConfig={"broken": BROKEN}))
    status, printed = release.upgrade(NEW, z2jh_values_files=[str(values)])
    assert status != 0
    assert "The new hub does not start" in printed
    assert "broken on purpose" in printed, printed
    assert "The old release serves again" in printed
    assert "the copy that the hub made before its migration" in printed
    assert_is_old(release, before)
    # The proxy was replaced, too: the old hub gives it the routes when it starts, and not minutes later.
    release.wait("ada's server is reached", lambda: release.reaches_server("ada"))


def test_a_controller_that_is_killed_in_the_middle_leaves_the_old_one(
    release: Release, before: State
) -> None:
    wanted = {"z2jh_chart": str(release.charts[NEW]), "z2jh_chart_version": NEW, "z2jh_patience": PATIENCE}
    process = release.start_playbook("z2jh_upgrade.yml", z2jh_rehearse=False, **wanted)
    assert process.stdout
    for line in process.stdout:
        if "Verify the new hub" in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    # Nobody but the guard is there to do it.
    wait_for_guard(release, "restored")
    assert release.state() == before
    # What is left of the guard, the run that the next test begins clears away.
    assert release.guards() != []


def wait_for_guard(release: Release, state: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = release.get("configmap", "hubops-hub-guard")["data"]
        if found["state"] == state:
            return
        assert time.monotonic() < deadline, found
        time.sleep(1)


@pytest.mark.parametrize("moment", ["hub changed, proxy not yet", "all is written"])
def test_a_helm_that_is_killed_ends_in_the_old_one(
    release: Release, before: State, moment: str, tmp_path: Path
) -> None:
    """Two of the moments of `killed.py`; the upgrade of a later test is another run."""
    with door(release.cluster, tmp_path / "door", MOMENTS[moment]) as passed:
        status, printed = release.upgrade(NEW, z2jh_helm=str(passed.program))
    assert passed.is_over, passed.written
    assert status != 0
    assert "helm upgrade was killed by the signal 9" in printed
    assert_is_old(release, before)


def test_an_upgrade_keeps_users_servers_and_volumes(release: Release, before: State, tmp_path: Path) -> None:
    """And nobody who runs it a second time meanwhile gets in its way."""
    copies = release.folder / "copies"
    second: list[tuple[int, str]] = []

    def run_again() -> bool:
        second.append(release.upgrade(NEW))
        return True

    with door(release.cluster, tmp_path / "door", MOMENTS["hub changed, proxy not yet"], run_again) as passed:
        status, printed = release.upgrade(
            NEW,
            z2jh_helm=str(passed.program),
            z2jh_rehearse=True,
            z2jh_verify_user="bob",
            z2jh_backup_fetch=str(copies),
        )
    assert status == 0, printed
    [(refused, said)] = second
    assert refused != 0 and "Another run works on the release hub" in said
    (copy,) = copies.glob(f"{release.namespace}/hub/*/jupyterhub.sqlite")
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (3,)
    assert_is_new(release, before)
    # Again, it changes nothing.
    status, printed = release.upgrade(NEW)
    assert status == 0 and "changed=0" in printed, printed


def test_a_rollback_later_restores_the_old_one_and_names_who_is_lost(release: Release, before: State) -> None:
    release.ask("POST", "/users/edsger")
    release.start_server("bob")
    status, printed = release.playbook("z2jh_rollback.yml", "--check")
    assert status == 0, printed
    assert "The hub will not know these users: edsger." in printed
    assert "Servers that were started since are stopped: bob." in printed
    status, printed = release.playbook("z2jh_rollback.yml")
    assert status == 0, printed
    assert "since they were started later, were stopped: bob." in printed
    release.wait("bob's pod is gone", lambda: "jupyter-bob" not in release.state().servers)
    state = release.state()
    assert state._replace(volumes=before.volumes) == before
    assert before.volumes.items() <= state.volumes.items()
    assert release.guards() == []


def test_a_hub_that_does_not_serve_as_it_should_ends_in_the_old_one_and_stopped_servers_stay_so(
    release: Release, before: State
) -> None:
    """The values name the old image of the hub, which starts, and a command with which no server does."""
    name, _colon, tag = before.image.rpartition(":")
    singleuser = {**VALUES["singleuser"], "cmd": ["false"], "startTimeout": 15}
    values = {**hub(image={"name": name, "tag": tag}), "singleuser": singleuser}
    status, printed = release.upgrade(
        NEW,
        z2jh_values_files=[str(release.file("unfit.json", values))],
        z2jh_verify_user=CHECK,
        z2jh_running_servers="stop",
    )
    assert status != 0
    assert f"The hub is {OLD_HUB}, not {NEW_HUB}." in printed
    assert f"The server of {CHECK} has failed to start" in printed
    assert "The old release serves again" in printed
    state = release.state()
    assert (state.chart, state.jupyterhub, state.users) == (OLD, OLD_HUB, before.users)
    assert state.servers == {}
    assert release.guards() == []
    release.start_server("ada")
    assert release.in_server("ada", "cat ~/mine.txt") == "mine\n"
    assert before.volumes.items() <= release.volumes().items()


def test_a_revision_that_somebody_elses_helm_has_left_pending_is_ended(release: Release) -> None:
    argv = [str(release.cluster.helm4_program), "upgrade", "hub", str(release.charts[OLD]), "--reuse-values"]
    argv += ["--namespace", release.namespace, "--set", "hub.image.tag=none", "--wait", "--timeout", "300s"]
    helm = subprocess.Popen(argv, env=release.cluster.environment, stdout=subprocess.DEVNULL)
    release.wait("that Helm has broken the hub", lambda: pending(release) and hub_is_broken(release))
    assert helm.poll() is None
    helm.kill()
    helm.wait()
    status, printed = release.upgrade(NEW)
    assert status != 0 and "Helm has been at work on hub for" in printed
    assert pending(release)
    status, printed = release.upgrade(NEW, z2jh_pending_seconds=0)
    assert "The revision that a killed Helm had left pending was ended" in printed
    assert not pending(release)
    # That Helm has broken the hub, and then there is no upgrade.
    assert status != 0 and "hub-not-ready" in printed


def hub_is_broken(release: Release) -> bool:
    """Whether its pod is to have an image that is not there, and the old one is gone."""
    found = release.get("deployment", "hub")
    [container] = found["spec"]["template"]["spec"]["containers"]
    return container["image"].endswith(":none") and not found["status"].get("readyReplicas")


def test_what_is_outside_of_namespaces_is_put_back_by_the_controller(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"upgrade-{os.getpid()}"
    access = Access(kubeconfig=str(cluster.kubeconfig), kubectl=str(cluster.kubectl_program))
    cluster.kubectl("create", "clusterrole", name, "--verb=get", "--resource=pods")
    identity = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
    }
    kept = read_objects(access, [identity])
    monkeypatch.setattr(guard, "read_kept_objects", lambda _kubectl, _point: kept)
    point = RecoveryPoint("", "hub", "", 1, "", "", "hub", "", DatabaseBackup("", "", "", "", 0, "", 0.0))
    try:
        assert guard.complete(access, point) == []
        cluster.kubectl("label", "clusterrole", name, "of=new")
        assert guard.complete(access, point) == [kept[0].path]
        assert "labels" not in cluster.get("clusterrole", name)["metadata"]
        cluster.kubectl("delete", "clusterrole", name)
        assert guard.complete(access, point) == [kept[0].path]
        assert cluster.get("clusterrole", name)["rules"] == kept[0].object["rules"]
    finally:
        cluster.kubectl("delete", "clusterrole", name, "--ignore-not-found")
