"""Hubs in containers are found as they are, and refused where they could not be put back. Real ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.docker import DockerContainer
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services

from tests.hubs.docker.container_hub import IMAGES, NEW, OLD, container, docker, wait_until_it_answers
from tests.testbed.images import image

#: Installed by hand, without an index.
BY_HAND = """
import pathlib, sysconfig
folder = pathlib.Path(sysconfig.get_path("purelib"), "site_package-1.5.dist-info")
folder.mkdir()
(folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: site-package\\nVersion: 1.5\\n")
"""


def test_it_is_found_with_its_paths_on_the_host(tmp_path: Path) -> None:
    data = tmp_path / "data"
    # As another user, in whose folder the hub writes.
    data.mkdir()
    data.chmod(0o777)
    with container(data, "--user", "hub", "--env", "HOME=/home/hub") as name:
        wait_until_it_answers(name, OLD)
        docker("exec", "--user", "0", name, "/opt/jupyterhub/bin/python", "-c", BY_HAND)
        found = find_deployment(name)
        assert found.service.manager == "docker"
        assert (found.service.user, found.service.particulars["account"]["uid"]) == ("hub", 1500)
        assert found.service.lost == ["site_package 1.5"]
        assert found.config.file == f"{data}/jupyterhub_config.py"
        assert found.database.path == f"{data}/jupyterhub.sqlite"
        assert found.database.writable and all(found.database.writable.values())
        assert found.secrets.cookie_secret_file.path == f"{data}/jupyterhub_cookie_secret"
        assert (found.jupyterhub, found.hub_environment.kind) == (OLD, "image")
        assert found.proxy.program and str(found.proxy.program.path).endswith("/bin/configurable-http-proxy")
        assert verification.unanswered(found) == {}
        assert verification.verify(found, version=OLD).users == 0

        def plan(image_name: str) -> Plan:
            options = InstallerOptions(image=image_name)
            return planner.plan(found, NEW, Policy(), options, str(tmp_path))

        other = plan(image(IMAGES[OLD]))
        assert f"has JupyterHub {OLD}, not {NEW}" in str(other.blockers)
        assert "cannot be pulled" in str(plan("127.0.0.1:1/hub:6").blockers)
        good = plan(image(IMAGES[NEW]))
        assert good.blockers == []
        assert "packages-lost" in [each.id for each in good.findings]


def test_a_database_that_would_be_lost(tmp_path: Path) -> None:
    config = tmp_path / "elsewhere"
    with container(config, "--workdir", "/srv") as name:
        wait_until_it_answers(name, OLD)
        with pytest.raises(HubError, match="/srv/jupyterhub.sqlite is on no mount"):
            find_deployment(name)


def test_one_that_could_not_be_put_back(tmp_path: Path) -> None:
    with container(tmp_path / "data", "--rm") as name:
        wait_until_it_answers(name, OLD)
        # As a unit's ExecStart does, which starts it again when it ends.
        with subprocess.Popen(["docker", "start", "--attach", name], stdout=subprocess.DEVNULL) as client:
            removed, kept_running = find_deployment(name).service.obstacles
            client.kill()
        assert "removes it when it stops" in removed
        assert f"The process {client.pid} keeps it running" in kept_running


@pytest.mark.parametrize(
    ("label", "owner"),
    [
        ("com.docker.swarm.service.name=hubs", "a service of a swarm"),
        ("io.kubernetes.pod.name=hub-0", "a pod of Kubernetes"),
    ],
)
def test_one_of_somebody_else(tmp_path: Path, label: str, owner: str) -> None:
    with container(tmp_path / "data", "--label", label) as name, pytest.raises(HubError, match=owner):
        find_deployment(name)


def test_a_container_that_is_a_host_of_its_own_is_none(tmp_path: Path) -> None:
    manager = "exec -a supervisord bash -c 'jupyterhub -f jupyterhub_config.py & wait'"
    with container(tmp_path / "data", "--entrypoint", "bash", command=["-c", manager]) as name:
        wait_until_it_answers(name, OLD)
        assert name not in [each.name for each in DockerContainer.find()]


def test_one_that_does_not_run(tmp_path: Path) -> None:
    with container(tmp_path / "data") as name:
        docker("kill", name)
        assert [each.state() for each in find_services(name)] == ["failed"]
        with pytest.raises(HubError, match="does not run a hub.*docker start"):
            find_deployment(name)
