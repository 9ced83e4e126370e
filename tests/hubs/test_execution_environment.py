"""The execution environment is built, and ansible-runner runs the playbooks in it by their names."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.testbed.images import image

#: In AWX's pods the runner is not root.
USER = 1000
PLAYBOOKS = sorted(f"hubops.jupyterhub.{file.stem}" for file in (REPOSITORY / "playbooks").glob("*.yml"))
HOST = "localhost ansible_connection=local ansible_python_interpreter=/opt/ansible/bin/python3\n"


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


def run(image_name: str, *command: str, mounted: Path | None = None) -> str:
    """What a command prints that succeeds in the image, without a network."""
    job = [f"--volume={mounted}:/runner"] if mounted else []
    isolated = ["docker", "run", "--rm", "--network=none", f"--user={USER}", *job, image_name]
    done = subprocess.run([*isolated, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_playbook_is_found_by_its_name_and_ansible_runner_runs_one(built: str, tmp_path: Path) -> None:
    printed = run(built, "ansible-playbook", "--syntax-check", "--inventory", "localhost,", *PLAYBOOKS)
    assert [name for name in PLAYBOOKS if f"/playbooks/{name.rpartition('.')[2]}.yml" not in printed] == []

    job = tmp_path / "job"
    (job / "inventory").mkdir(parents=True)
    (job / "inventory/hosts").write_text(HOST)
    for path in (job, *job.rglob("*")):
        os.chown(path, USER, USER)
    command = ("ansible-runner", "run", "/runner", "--playbook", "hubops.jupyterhub.status")
    printed = run(built, *command, mounted=job)
    assert "localhost: no run and no recovery point is known." in printed
