"""The execution environment is built, and ansible-runner runs the playbooks in it by their names.

One is the upgrade of a real hub, in a container beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.community import docker

from tests import REPOSITORY
from tests.testbed import Hub, staged
from tests.testbed.images import image

#: In AWX's pods the runner is not root.
USER = 1000
PLAYBOOKS = sorted(f"hubops.jupyterhub.{file.stem}" for file in (REPOSITORY / "playbooks").glob("*.yml"))
HOST = "localhost ansible_connection=local ansible_python_interpreter=/opt/ansible/bin/python3\n"
#: The test bed's engine, which is the way to a hub's host where others have SSH: what the image has not.
SOCKET = Path("/var/run/docker.sock")
COLLECTIONS = "/usr/share/ansible/collections/ansible_collections"


@pytest.fixture(scope="module")
def built() -> Iterator[str]:
    """The image, on the test bed's Debian, which knows this network's authorities."""
    tag = f"hubops-test/ee:{uuid.uuid4().hex[:8]}"
    made = subprocess.run(
        [REPOSITORY / "tools/execution-environment", tag, image("base")], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    yield tag
    subprocess.run(["docker", "image", "rm", tag], check=True, capture_output=True)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub whose upgrade is staged."""
    with staged.start() as started:
        yield started


def run(image_name: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """What a command prints that succeeds in the image, without a network."""
    isolated = ["docker", "run", "--rm", "--network=none", f"--user={USER}", *options, image_name]
    done = subprocess.run([*isolated, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_playbook(
    image_name: str, folder: Path, name: str, inventory: str, options: tuple[str, ...] = ()
) -> str:
    """What a playbook prints that ansible-runner runs in the image as a job of AWX."""
    job = folder / "job"
    (job / "inventory").mkdir(parents=True)
    (job / "inventory/hosts").write_text(inventory)
    for path in (job, *job.rglob("*")):
        os.chown(path, USER, USER)
    command = ("ansible-runner", "run", "/runner", "--playbook", f"hubops.jupyterhub.{name}")
    return run(image_name, *command, options=(f"--volume={job}:/runner", *options))


def test_every_playbook_is_found_by_its_name_and_ansible_runner_runs_one(built: str, tmp_path: Path) -> None:
    printed = run(built, "ansible-playbook", "--syntax-check", "--inventory", "localhost,", *PLAYBOOKS)
    assert [name for name in PLAYBOOKS if f"/playbooks/{name.rpartition('.')[2]}.yml" not in printed] == []

    printed = run_playbook(built, tmp_path, "status", HOST)
    assert "localhost: no run and no recovery point is known." in printed


def test_it_upgrades_a_hub(built: str, hub: Hub, tmp_path: Path) -> None:
    client = shutil.which("docker")
    assert client, "the engine's client is missing: make engine"
    connection = (
        f"--volume={SOCKET}:{SOCKET}",
        f"--group-add={SOCKET.stat().st_gid}",
        f"--volume={client}:/usr/local/bin/docker:ro",
        f"--volume={docker.__path__[0]}:{COLLECTIONS}/community/docker:ro",
    )
    wanted = {"ansible_connection": "community.docker.docker", "jupyterhub_version": staged.TARGET}
    inventory = hub.inventory({**wanted, "jupyterhub_watch_seconds": 0})
    printed = run_playbook(built, tmp_path, "upgrade", json.dumps(inventory), connection)
    assert f"{hub.container}: JupyterHub {hub.layout.version} -> {staged.TARGET}, upgraded" in printed
    hub.wait_until_answers(staged.TARGET)
    assert staged.is_in_place(hub)
