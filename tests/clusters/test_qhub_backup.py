"""QHub's backups through a real cluster: shared volume and database of a real hub, into another one."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Backup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests.hubs.playbook import run_playbook
from tests.redeployments.restored_site import RestoredSite
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.images import images_of
from tests.testbed.z2jh.release import Release, new_release
from tests.testbed.z2jh.versions import VERSIONS

#: JupyterHub 1.5.1, next to that of QHub 0.4.5.
VERSION = "1.2.0"
#: Two homes; one has a file that nobody but its owner reads.
HOMES = """
mkdir -p /data/home/ada /data/home/grace/.ssh /data/home/shared/users
echo analysis >/data/home/ada/analysis.ipynb
head -c 3000000 /dev/urandom >/data/home/grace/rows.bin
echo key >/data/home/grace/.ssh/id_rsa
echo all >/data/home/shared/users/all.csv
chown -R 1001:100 /data/home/ada && chown -R 1002:100 /data/home/grace
chmod 600 /data/home/grace/.ssh/id_rsa
sha256sum /data/home/grace/rows.bin | cut -c 1-64
"""
#: What somebody has written on the new site before.
NEWER = "mkdir -p /data/home/ada /data/shared && echo newer >/data/home/ada/analysis.ipynb"
FOUND = "cd /data && stat --format '%u:%g %a %n' home/grace/.ssh/* shared/users/* && cat home/ada/*"


class SiteInCluster:
    """A hub, and a shared volume as QHub names its claim."""

    def __init__(self, release: Release, claim: str, content: str) -> None:
        self.release, self.claim = release, claim.format(release.namespace)
        self.image = images_of(VERSIONS[VERSION]).hub
        release.install(VERSION)
        self._apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": self.claim},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }
        )
        self.printed = self.in_volume("before", content)

    def in_volume(self, name: str, script: str) -> str:
        """What a script prints that has the volume as ``/data``."""
        container = {
            "name": "script",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-ec", script],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": [{"name": "shared", "mountPath": "/data"}],
        }
        volume = {"name": "shared", "persistentVolumeClaim": {"claimName": self.claim}}
        self._apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {"restartPolicy": "Never", "containers": [container], "volumes": [volume]},
            }
        )
        done = "--for=jsonpath={.status.phase}=Succeeded"
        self.release.kubectl("wait", f"pod/{name}", done, "--timeout=180s")
        return self.release.kubectl("logs", name).strip()

    def leave(self, name: str, container: str) -> None:
        """A pod as a run has left it that was killed: another volume, in which all is already there."""
        folders = [{"name": place, "mountPath": f"/{place}"} for place in ("data", "packed", "sent")]
        waits = {
            "name": container,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "86400"],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": folders,
        }
        volumes = [{"name": folder["name"], "emptyDir": {}} for folder in folders]
        self._apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {"restartPolicy": "Never", "containers": [waits], "volumes": volumes},
            }
        )

    def pods(self) -> list[str]:
        return sorted(pod["metadata"]["name"] for pod in self.release.get("pods")["items"])

    def users(self) -> list[str]:
        return sorted(user["name"] for user in self.release.ask("GET", "/users"))

    def _apply(self, manifest: dict[str, Any]) -> None:
        self.release.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))


@pytest.fixture
def old_and_new(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SiteInCluster, SiteInCluster]]:
    """The old site with homes and a user more, and the new one, on which somebody was already."""
    folders = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    with new_release(cluster, charts, folders[0]) as old, new_release(cluster, charts, folders[1]) as new:
        sites = (
            SiteInCluster(old, "nfs-mount-{}-share", HOMES),
            SiteInCluster(new, "jupyterhub-{}-share", NEWER),
        )
        old.ask("POST", "/users/grace")
        yield sites


def test_volume_and_database_get_into_another_cluster(
    old_and_new: tuple[SiteInCluster, SiteInCluster], tmp_path: Path
) -> None:
    old, new = old_and_new
    folder = tmp_path / "backups"
    cluster = old.release.cluster

    def run(
        playbook: str, site: SiteInCluster, *arguments: str, within: Sequence[str] = (), **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        usual = {
            "qhub_folder": str(tmp_path / "site"),
            "qhub_state_folder": str(tmp_path / "state"),
            "qhub_backups": str(folder),
            "qhub_namespace": site.release.namespace,
            "qhub_kubeconfig": str(cluster.kubeconfig),
            "qhub_new_kubeconfig": str(cluster.kubeconfig),
            "qhub_kubectl": str(cluster.kubectl_program),
            "qhub_pod_image": site.image,
        }
        return run_playbook(playbook, tmp_path, {**usual, **variables}, *arguments, within=within)

    # A claim that is not there is said at once, and no pod waits for it.
    before = (old.release.containers(), old.pods())
    nowhere = run("qhub_backup.yml", old, qhub_claim="nowhere")
    assert f"The namespace {old.release.namespace} has no claim nowhere." in nowhere.stdout, nowhere.stdout
    assert f"Its claims are hub-db-dir, {old.claim}:" in nowhere.stdout
    assert "name the right one, qhub_claim, or the right namespace" in nowhere.stdout
    tried = run("qhub_backup.yml", old, "--check")
    assert (tried.returncode, folder.exists()) == (0, False), tried.stdout
    assert (old.release.containers(), old.pods()) == before

    # The old hub goes on, and nothing is left in it, nor of what a run has left that was killed.
    old.leave("hubops-backup", "pack")
    made = run("qhub_backup.yml", old)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (old.release.containers(), old.pods()) == before
    assert "hubops" not in old.release.kubectl("exec", "deploy/hub", "--", "ls", "/tmp")
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700, 0o600}
    with tarfile.open(folder / "home.tar") as archive:
        key = archive.getmember("./home/grace/.ssh/id_rsa")
        archive.extract("./home/grace/rows.bin", tmp_path / "unpacked", filter="data")
    assert (key.uid, key.gid, key.mode) == (1002, 100, 0o600)
    assert files.sha256(tmp_path / "unpacked/home/grace/rows.bin") == old.printed

    # The first step of the redeployment reads both to their ends, and holds them against their checksums.
    site = RestoredSite(tmp_path)
    site.forget("restore")
    wanted = site.wanted(
        user_data=Backup(str(folder / "home.tar")), hub_database=Backup(str(folder / "jupyterhub.sqlite"))
    )
    redeployment.take(wanted, "back_up")
    evidence = site.evidence("back_up")
    assert re.fullmatch(r"4 files, \d+ bytes", evidence["user_data_content"])
    assert evidence["hub_database_content"].startswith("4 users in ")
    assert evidence["user_data_sha256"] in (folder / "SHA256SUMS").read_text()

    # What the new site has already is not overwritten, nor is its hub stopped.
    before = (new.release.containers(), new.pods())
    tried = run("qhub_restore.yml", new, "--check", qhub_accept_loss=True)
    assert (tried.returncode, site.evidence("restore")) == (0, {}), tried.stdout
    assert (new.release.containers(), new.pods()) == before
    kept = run("qhub_restore.yml", new)
    assert "has 1 files in its homes already, such as home/ada/analysis.ipynb" in kept.stdout, kept.stdout
    assert (new.release.containers(), new.pods()) == before

    nowhere = run("qhub_restore.yml", new, qhub_accept_loss=True, qhub_new_hub_claim="nowhere")
    assert f"The namespace {new.release.namespace} has no claim nowhere." in nowhere.stdout, nowhere.stdout
    assert (new.release.containers(), new.pods()) == before

    # Killed when it is about to send the tar, the hub stopped; another run has left the other pod.
    pidfile, kubectl = tmp_path / "pid", tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nkill -KILL "$(cat {pidfile})"\n')
    kubectl.chmod(0o755)
    within = ("sh", "-c", 'echo $$ >"$0"; exec "$@"', str(pidfile))
    killed = run("qhub_restore.yml", new, within=within, qhub_kubectl=str(kubectl), qhub_accept_loss=True)
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    assert "hubops-restore-data" in new.pods()
    assert new.release.get("deployment", "hub")["spec"]["replicas"] == 0
    new.leave("hubops-restore-database", "restore")
    done = run("qhub_restore.yml", new, qhub_accept_loss=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.evidence("restore")["files"] == "4"
    new.release.wait_for_hub()
    assert new.users() == ["ada", "admin", "bob", "grace"]
    assert new.in_volume("after", FOUND).splitlines() == [
        "1000:100 600 home/grace/.ssh/id_rsa",
        "1000:100 644 shared/users/all.csv",
        "analysis",
    ]
    assert [name for name in new.pods() if name.startswith("hubops")] == []
    assert "jupyterhub.sqlite.before-restore" in new.release.kubectl(
        "exec", "deploy/hub", "--", "ls", "/srv/jupyterhub"
    )

    again = run("qhub_restore.yml", new)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout
