"""A database's server beside a release, as people put one beside their hub, and what is left of ours."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Chart
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Wanted

from tests.clusters.releases import NEW, NEW_HUB, OLD, OLD_HUB, access
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.images import build_server_image
from tests.testbed.z2jh.release import Release

PASSWORD = "s3cret-of-the-database"
LEFT_SECONDS = 60


@dataclass(frozen=True)
class Kind:
    """A kind of server: the name of its image, its port, and what ends with 0 once it can be used."""

    name: str
    port: int
    probe: tuple[str, ...]


POSTGRESQL = Kind("postgresql", 5432, ("pg_isready", "-h", "127.0.0.1"))
MARIADB = Kind("mariadb", 3306, ("mariadb-admin", "ping", "--host=127.0.0.1"))


@contextlib.contextmanager
def release_beside(
    kind: Kind,
    cluster: Cluster,
    charts: dict[str, Path],
    folder: Path,
    values: dict[str, Any],
    version: str = OLD,
) -> Iterator[Release]:
    """A release of the chart with its database in a server, and three users: ada's server runs."""
    made = Release(cluster, charts, folder, f"{kind.name}-{os.getpid()}")
    try:
        install_server(kind, made)
        made.install(version, values)
        made.start_server("ada")
        yield made
    finally:
        made.remove()


def install_server(kind: Kind, made: Release) -> None:
    """The service ``database`` of this kind, in the namespace of a release that is not installed yet."""
    image = build_server_image(kind.name)
    made.cluster.load([image])
    labels = {"app": "database"}
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [{"secretRef": {"name": "database"}}],
        "readinessProbe": {"exec": {"command": [*kind.probe]}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    for kind_of_object, version, rest in (
        ("Secret", "v1", {"stringData": {"PASSWORD": PASSWORD}}),
        ("Deployment", "apps/v1", {"spec": {"selector": {"matchLabels": labels}, "template": template}}),
        ("Service", "v1", {"spec": {"selector": labels, "ports": [{"port": kind.port}]}}),
    ):
        thing = {"apiVersion": version, "kind": kind_of_object, "metadata": {"name": "database"}, **rest}
        made.kubectl("apply", "--filename=-", stdin=json.dumps(thing))
    made.kubectl("rollout", "status", "deployment/database", "--timeout=180s")


def assert_is_upgraded(release: Release, **variables: Any) -> str:
    """Upgrade it: the new hub has everybody, and no later start migrates. What was printed."""
    before = release.state()
    status, printed = release.upgrade(NEW, **variables)
    assert status == 0, printed
    assert PASSWORD not in printed
    now = release.state()
    assert (now.chart, now.jupyterhub) == (NEW, NEW_HUB)
    assert (now.users, now.servers) == (before.users, before.servers)
    assert "upgrade" not in release.helm("get", "values", "hub")["hub"]["db"]
    assert_nothing_is_left(release)
    return printed


def assert_is_rolled_back_without_edsger(release: Release) -> str:
    """Have a person come, and roll back: the old hub, and who is lost is named. What was printed."""
    release.ask("POST", "/users/edsger")
    status, printed = release.playbook("z2jh_rollback.yml")
    assert status == 0, printed
    assert "The hub will not know these users: edsger." in printed
    assert PASSWORD not in printed
    assert release.state().jupyterhub == OLD_HUB
    assert_nothing_is_left(release)
    return printed


def rehearse(release: Release, version: str, values: dict[str, Any]) -> rehearsal.Rehearsed:
    """What a rehearsal of the upgrade to this version of the chart shows."""
    chart = Chart(str(release.charts[version]), version=version)
    wanted = Wanted(chart, (("values.json", json.dumps(values)),))
    return rehearsal.rehearse(access(release), "", wanted, rehearsal.Seconds(), images=False)


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
