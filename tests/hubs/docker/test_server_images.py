"""Servers of DockerSpawner: their images are read, and their containers with old ones found. A real hub."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import server_images
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests.hubs.docker.container_hub import NEW, OLD, docker, unique_name
from tests.hubs.real_hub import build, environment, running_hub, stopped_hub
from tests.hubs.recovery.staged_hub import Hub
from tests.testbed.images import image

TOKEN = "token-of-the-test"
SECONDS = 60
CONFIG = """
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = "{address}"
c.JupyterHub.cleanup_servers = False
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.prefix = "{prefix}"
c.DockerSpawner.image = "{image}"
c.JupyterHub.services = [{{"name": "test", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "test", "scopes": ["admin:users", "admin:servers"], "services": ["test"]}}
]
"""


@pytest.fixture
def prefix() -> Iterator[str]:
    """How the names of a test's containers begin; they are gone afterwards."""
    name = unique_name()
    yield name
    for each in docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{name}").splitlines():
        docker("rm", "--force", "--volumes", each)


def config(prefix: str, image_name: str) -> str:
    [network] = json.loads(docker("network", "inspect", "bridge"))
    address = ip_network(network["IPAM"]["Config"][0]["Subnet"])[1]
    return CONFIG.format(address=address, prefix=prefix, image=image_name, token=TOKEN)


def serve(hub: Deployment, user: str, method: str) -> None:
    """Start a user's server, or stop it, and wait until that is done."""
    url = f"{hub.config.hub_api_url}/users/{user}"
    api.ask(f"{url}/server", TOKEN, method)
    deadline = time.monotonic() + SECONDS
    while bool(api.ask(url, TOKEN).body["servers"].get("", {}).get("ready")) != (method == "POST"):
        assert time.monotonic() < deadline, docker("ps", "--all")
        time.sleep(0.1)


def image_of(container: str) -> str:
    return docker("inspect", "--format", "{{.Image}}", container)


def plan_of(hub: Deployment, folder: Path, stale_containers: str = server_images.KEEP) -> Plan:
    policy = Policy(stale_containers=stale_containers)
    return planner.plan(hub, NEW, policy, InstallerOptions(), str(folder))


def test_old_containers_are_found_and_removed_once_the_new_hub_is_accepted(
    prefix: str, tmp_path: Path
) -> None:
    place = tmp_path / "environment"
    build(place, OLD, "dockerspawner")
    old, new = image("server"), image("server-new")
    with running_hub(OLD, tmp_path, config=config(prefix, old), place=place) as found:
        assert found.spawner.images and found.spawner.images.name_begins == f"{prefix}-"
        assert found.spawner.elsewhere == []
        for user in ("user0", "user1", "user2"):
            serve(found, user, "POST")
        for user in ("user0", "user1"):
            serve(found, user, "DELETE")
        # What no volume has.
        subprocess.run(
            ["docker", "cp", "-", f"{prefix}-user1:/home/hub"], check=True, input=_archive("thesis.ipynb")
        )
        blocked = {each.id: each.found for each in plan_of(found, tmp_path).blockers}
        assert list(blocked) == ["server-image-version"]
        assert f"The image {old}, " in blocked["server-image-version"]
        assert f"It has JupyterHub {OLD}, the hub has {NEW}" in blocked["server-image-version"]

        file = tmp_path / "jupyterhub_config.py"
        file.write_text(file.read_text().replace(old, new))
        found = find_deployment(found.name)
        plan = plan_of(found, tmp_path, stale_containers=server_images.REMOVE)
        assert plan.blockers == []
        [stale] = [each for each in plan.findings if each.id == "stale-containers"]
        assert stale.found.startswith("3 of users' containers would start again with an old image: ")
        assert f"{prefix}-user0 (JupyterHub {OLD}, image {image_of(f'{prefix}-user0')[7:19]})" in stale.found
        assert f"they run or have files of their users: {prefix}-user1, {prefix}-user2" in stale.fix

        hub = Hub(found, tmp_path)
        run = hub.arm(stale_containers=plan.stale_containers)
        assert hub.conduct(run).phase == journal.VERIFIED
        assert image_of(f"{prefix}-user0")
        rollback.accept(hub.folder, run)
        report = json.loads((hub.folder / "runs" / run / "report.json").read_text())
        assert f"Removed, for they had an old image: {prefix}-user0." in report["warnings"]
        kept = f"{prefix}-user1 was kept: its user's files are in it alone, as /home/hub/thesis.ipynb."
        assert kept in report["warnings"]
        assert f"{prefix}-user2 was kept: its server runs." in report["warnings"]
        left = docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{prefix}")
        assert sorted(left.splitlines()) == [f"{prefix}-user1", f"{prefix}-user2"]

        # The next start makes a container of the new image; the one that was kept still has its own.
        for user in ("user0", "user1"):
            serve(found, user, "POST")
        ids = [docker("inspect", "--format", "{{.Id}}", name) for name in (new, old)]
        assert [image_of(f"{prefix}-user{number}") for number in (0, 1)] == ids


def _archive(name: str) -> bytes:
    """A tar archive with an empty file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def test_what_users_may_choose(prefix: str, tmp_path: Path) -> None:
    server, plain, base = image("server-new"), image("container-new"), image("base")
    allowed = {"new": server, "base": base, "gone": "gone:1"}
    more = f"c.DockerSpawner.allowed_images = {allowed}\nc.DockerSpawner.pull_policy = 'never'\n"
    given = config(prefix, plain) + more
    place = environment(OLD, "dockerspawner")
    with stopped_hub(OLD, tmp_path, config=given, place=place) as found:
        images = found.spawner.images
        assert images
        read = {each.name: each for each in server_images.read(images, NEW, found.spawner.command)}
        assert (read[server].jupyterhub, read[plain].jupyterhub) == (NEW, NEW)
        assert "has no jupyterhub-singleuser" in read[base].problem
        assert read["gone:1"] == server_images.ServerImage("gone:1", problem="it is not on this host")

        # The spawner's own default, whose tag is the hub's version, is not to be had here.
        file = tmp_path / "jupyterhub_config.py"
        text = file.read_text()
        lines = text.replace("c.DockerSpawner.image =", "_ =").replace("'never'", "'ifnotpresent'")
        file.write_text(lines + "c.DockerSpawner.allowed_images = '*'\n")
        images = find_deployment(found.name).spawner.images
        assert images and (images.tag_follows_hub, images.any_image, images.choices) == (True, True, [])
        assert images.image == "quay.io/jupyterhub/singleuser:4.1"
        [default] = server_images.read(replace(images, pull_policy="never"), NEW, found.spawner.command)
        assert (default.name, default.default) == ("quay.io/jupyterhub/singleuser:6.1", True)

        # Another host's engine.
        file.write_text(text + "c.DockerSpawner.client_kwargs = {'base_url': 'tcp://other:2375'}\n")
        other = find_deployment(found.name).spawner
        assert (other.images, other.elsewhere) == (None, ["DockerSpawner"])
