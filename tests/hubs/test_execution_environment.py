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


def run(job: Path, image_name: str, playbook: str, options: str = "") -> str:
    """What ansible-runner prints of a playbook that succeeds, in the image, without a network."""
    for folder, name, text in (("env", "cmdline", options), ("inventory", "hosts", HOST)):
        (job / folder).mkdir(parents=True)
        (job / folder / name).write_text(text)
    for path in (job, *job.rglob("*")):
        os.chown(path, USER, USER)
    command = [
        "docker",
        "run",
        "--rm",
        "--network=none",
        f"--user={USER}",
        f"--volume={job}:/runner",
        image_name,
    ]
    done = subprocess.run(
        [*command, "ansible-runner", "run", "/runner", "--playbook", playbook], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_playbook_is_found_by_its_name_and_one_is_run(built: str, tmp_path: Path) -> None:
    first, *others = PLAYBOOKS
    printed = run(tmp_path / "1", built, first, f"--syntax-check {' '.join(others)}")
    assert [name for name in PLAYBOOKS if f"playbook: {name}" not in printed] == []
    printed = run(tmp_path / "2", built, "hubops.jupyterhub.status")
    assert "localhost: no run and no recovery point is known." in printed
