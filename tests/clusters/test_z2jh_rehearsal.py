"""A rehearsal in a real cluster finds what would fail, and leaves the hub, its database and its people alone.

The tests share a release, which none of them changes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Chart
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Wanted

from tests import REPOSITORY
from tests.clusters.releases import NEW, OLD, access
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.images import images_of
from tests.testbed.z2jh.release import VALUES, Release
from tests.testbed.z2jh.versions import VERSIONS

SECRET = "secret-of-a-config"
PATIENCE = 120
#: What a hub, its people and their database have, down to each change of an object.
KINDS = "deployments,replicasets,pods,services,configmaps,secrets,persistentvolumeclaims,networkpolicies,jobs"
REVISION = """
import sqlite3
database = sqlite3.connect("/srv/jupyterhub/jupyterhub.sqlite")
print(database.execute("SELECT * FROM alembic_version").fetchone())
"""
TRIGGER = """
import sqlite3
database = sqlite3.connect("/srv/jupyterhub/jupyterhub.sqlite", timeout=60)
database.execute('''{}''')
database.commit()
"""
BROKEN = (
    "CREATE TRIGGER broken BEFORE UPDATE ON alembic_version BEGIN SELECT RAISE(ABORT, 'no migration'); END"
)
REHEARSE = """
import sys, json
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Chart
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Wanted
access, chart = json.loads(sys.argv[1])
rehearsal.rehearse(Access(**access), "", Wanted(Chart(**chart)), rehearsal.Seconds())
"""


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release of chart 3, of which ada has a running server."""
    made = Release(cluster, charts, tmp_path_factory.mktemp("release"), f"rehearsal-{os.getpid()}")
    made.install(OLD)
    made.start_server("ada")
    yield made
    made.remove()


@pytest.fixture
def untouched(release: Release) -> Iterator[None]:
    """Each object is afterwards what it was, there is none that was not, and the database is as it was."""
    before = everything(release)
    yield
    assert everything(release) == before


def everything(release: Release) -> dict[str, str]:
    found = {
        f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
        for each in release.get(KINDS)["items"]
    }
    found["schema"] = in_hub(release, REVISION)
    found["files"] = release.kubectl(
        *(
            "exec",
            "deploy/hub",
            "--",
            "sh",
            "-c",
            "ls -A /srv/jupyterhub",
        )
    )
    return found


def in_hub(release: Release, program: str) -> str:
    return release.kubectl("exec", "deploy/hub", "--", "python3", "-c", program)


def rehearse(release: Release, **hub: Any) -> rehearsal.Rehearsed:
    values = {**VALUES, "hub": {**VALUES["hub"], **hub}}
    wanted = Wanted(Chart(str(release.charts[NEW]), version=NEW), (("values.json", json.dumps(values)),))
    return rehearsal.rehearse(access(release), "", wanted, rehearsal.Seconds(), images=False)


@pytest.mark.usefixtures("untouched")
def test_a_plan_that_is_rehearsed_has_the_new_hub_serve_and_names_old_images(release: Release) -> None:
    file = release.folder / "plan.md"
    old, new = (images_of(VERSIONS[version]).person for version in (OLD, NEW))
    # Of which no values of the chart's know.
    extra = f"c.KubeSpawner.profile_list = [{{'kubespawner_override': {{'image': '{old}'}}}}]"
    values = release.file("profiles.json", {**VALUES, "hub": {**VALUES["hub"], "extraConfig": {"it": extra}}})
    status, printed = release.playbook(
        "z2jh_plan.yml",
        z2jh_chart=str(release.charts[NEW]),
        z2jh_chart_version=NEW,
        z2jh_values_files=[str(values)],
        z2jh_report=str(file),
        z2jh_rehearse=True,
        jupyterhub_accept=["single-user-image-version"],
    )
    assert status == 0, printed
    assert "JupyterHub 5.4.6 serves on a copy of the database (its migration took" in printed
    assert f"The image {old}: It has JupyterHub 4.1.6, the hub has 5.4.6: another major." in printed
    page = file.read_text()
    for image, version, digest in (
        (images_of(VERSIONS[NEW]).hub, "5.4.6", "sha256:"),
        (new, "5.4.6", "sha256:"),
        (old, "4.1.6", digest_of_ada(release)),
    ):
        assert f"| `{image}` | {version} | {digest}" in page
    assert "single-user-image-moved" not in page


def digest_of_ada(release: Release) -> str:
    """Of the image that her server runs."""
    [container] = release.get("pod", "jupyter-ada")["status"]["containerStatuses"]
    return str(container["imageID"]).rpartition("@")[2]


@pytest.mark.usefixtures("untouched")
def test_a_config_that_raises_is_refused_before_anything_is_changed(release: Release) -> None:
    raising = f"raise RuntimeError('broken on purpose: {SECRET}')"
    config = {**VALUES["hub"]["config"], "CryptKeeper": {"keys": ["ab" * 32]}}
    values = {
        **VALUES,
        "hub": {**VALUES["hub"], "config": config, "extraConfig": {"broken": raising}},
        "custom": {"password": SECRET},
    }
    file = release.file("raising.json", values)
    status, printed = release.playbook(
        "z2jh_upgrade.yml",
        z2jh_chart=str(release.charts[NEW]),
        z2jh_chart_version=NEW,
        z2jh_values_files=[str(file)],
        z2jh_check_images=False,
    )
    assert status != 0
    assert "rehearsal-config: The new hub exited at its start" in printed
    assert "RuntimeError: broken on purpose: ***" in printed
    assert SECRET not in printed


def test_a_migration_that_fails_is_found_on_the_copy(release: Release) -> None:
    in_hub(release, TRIGGER.format(BROKEN))
    try:
        before = everything(release)
        [found] = [each for each in rehearse(release).findings if each.severity == "blocker"]
        assert everything(release) == before
    finally:
        in_hub(release, TRIGGER.format("DROP TRIGGER broken"))
    assert found.id == "rehearsal-migration"
    assert "no migration" in found.found


@pytest.mark.usefixtures("untouched")
def test_an_image_that_is_not_there_is_found(release: Release) -> None:
    image = {"name": "hubops-test/none", "tag": "none", "pullPolicy": "Never"}
    [found] = rehearse(release, image=image).findings
    assert found.id == "rehearsal-pod"
    assert "ErrImageNeverPull" in found.found and "hubops-test/none:none" in found.found


@pytest.mark.usefixtures("untouched")
def test_a_rehearsal_that_is_killed_leaves_nothing(release: Release) -> None:
    asked = [vars(access(release)), vars(Chart(str(release.charts[NEW]), version=NEW))]
    process = subprocess.Popen(
        [sys.executable, "-c", REHEARSE, json.dumps(asked)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / ".collections")},
    )
    jobs: list[dict[str, Any]] = []

    def is_at_work() -> bool:
        jobs[:] = release.get("jobs")["items"]
        return bool(jobs) and bool(jobs[0]["status"].get("ready"))

    wait("a pod of the rehearsal runs", is_at_work, lambda: process.poll() is None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    [job] = jobs
    assert job["spec"]["ttlSecondsAfterFinished"] == rehearsal.LEFT_SECONDS
    # Not to wait for minutes.
    sooner = json.dumps({"spec": {"ttlSecondsAfterFinished": 0, "activeDeadlineSeconds": 1}})
    release.kubectl("patch", "job", job["metadata"]["name"], "--type=merge", "--patch", sooner)
    selector = f"{rehearsal.LABEL}={job['metadata']['name']}"
    kinds = "jobs,pods,secrets,configmaps,networkpolicies"
    wait("nothing is left", lambda: not release.get(kinds, f"--selector={selector}")["items"])


def wait(what: str, is_so: Callable[[], bool], may: Callable[[], bool] = lambda: True) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert may() and time.monotonic() < deadline, f"It is not so that {what}."
        time.sleep(0.3)
