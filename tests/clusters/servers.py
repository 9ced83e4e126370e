"""A database's server beside a release, as people put one beside their hub, and what is left of ours."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Chart
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Wanted

from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.images import build_server_image
from tests.testbed.z2jh.release import Release

PASSWORD = "s3cret-of-the-database"
LEFT_SECONDS = 60


def installed_beside(
    cluster: Cluster, charts: dict[str, Path], folder: Path, kind: str, port: int, probe: Sequence[str]
) -> Release:
    """A namespace with a server of this kind, the service ``database``, in which no release is yet.

    ``probe`` ends with 0 once it can be used.
    """
    image = build_server_image(kind)
    cluster.load([image])
    made = Release(cluster, charts, folder, f"{kind}-{os.getpid()}")
    labels = {"app": "database"}
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [{"secretRef": {"name": "database"}}],
        "readinessProbe": {"exec": {"command": [*probe]}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    for kind_of_object, version, rest in (
        ("Secret", "v1", {"stringData": {"PASSWORD": PASSWORD}}),
        ("Deployment", "apps/v1", {"spec": {"selector": {"matchLabels": labels}, "template": template}}),
        ("Service", "v1", {"spec": {"selector": labels, "ports": [{"port": port}]}}),
    ):
        thing = {"apiVersion": version, "kind": kind_of_object, "metadata": {"name": "database"}, **rest}
        made.kubectl("apply", "--filename=-", stdin=json.dumps(thing))
    made.kubectl("rollout", "status", "deployment/database", "--timeout=180s")
    return made


def rehearse(release: Release, version: str, values: dict[str, Any]) -> rehearsal.Rehearsed:
    """What a rehearsal of the upgrade to this version of the chart shows."""
    access = Access(
        kubeconfig=str(release.cluster.kubeconfig),
        namespace=release.namespace,
        helm=str(release.cluster.helm4_program),
        kubectl=str(release.cluster.kubectl_program),
    )
    chart = Chart(str(release.charts[version]), version=version)
    wanted = Wanted(chart, (("values.json", json.dumps(values)),))
    return rehearsal.rehearse(access, "", wanted, rehearsal.Seconds(), images=False)


def in_server(release: Release, *argv: str) -> list[str]:
    """The lines that a program in the server's pod prints."""
    return release.kubectl("exec", "deploy/database", "--", *argv).splitlines()


def users_of(rows: Sequence[str]) -> list[str]:
    """The rows of users among others."""
    return [line for line in rows if line.startswith("user")]


def assert_nothing_is_left(release: Release) -> None:
    assert release.guards() == []
    # A pod that was deleted takes its time to end.
    deadline = time.monotonic() + LEFT_SECONDS
    while left := [each for each in pods(release) if each.startswith("hubops")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def pods(release: Release) -> list[str]:
    return [each["metadata"]["name"] for each in release.get("pods")["items"]]
