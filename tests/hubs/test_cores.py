"""The oldest and the newest supported ansible-core, on the controller: a real hub is planned with each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment

from tests import REPOSITORY
from tests.hubs.real_hub import running_hub
from tests.pythons import pythons

#: Each with a Python that it runs on: 2.20 and later need 3.12.
CORES = {"2.17": "3.11", "2.21": "3.13"}
PLAYBOOKS = sorted((REPOSITORY / "playbooks").glob("*.yml"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_hub("4.1.6", tmp_path_factory.mktemp("hub")) as deployment:
        yield deployment


@pytest.fixture(scope="module", params=CORES)
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an ansible-core."""
    folder = tmp_path_factory.mktemp("core")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv, "uv is missing: make venv"
    # One that is not here is fetched by uv, where it may.
    python = pythons().get(CORES[request.param], CORES[request.param])
    subprocess.run([uv, "venv", "--quiet", "--python", python, folder], check=True)
    wanted = f"ansible-core=={request.param}.*"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", wanted], check=True)
    return folder / "bin"


def run(core: Path, folder: Path, *arguments: str) -> str:
    """What ``ansible-playbook`` prints, which must succeed."""
    done = subprocess.run(
        [core / "ansible-playbook", "--inventory", "hub.example.org,", *arguments],
        cwd=folder,
        env={
            "PATH": f"{core}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
            "ANSIBLE_TRANSPORT": "local",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not support Ansible version" not in done.stderr
    return done.stdout


def test_it_reads_every_playbook(core: Path, tmp_path: Path) -> None:
    run(core, tmp_path, "--syntax-check", *map(str, PLAYBOOKS))


def test_it_plans_the_upgrade_of_a_real_hub(core: Path, hub: Deployment, tmp_path: Path) -> None:
    variables = {
        "jupyterhub_service": hub.name,
        "jupyterhub_version": "6.1.1",
        "jupyterhub_rehearse": False,
        "jupyterhub_state_folder": str(tmp_path / "state"),
        "jupyterhub_audit": "never",
        "jupyterhub_plan": str(tmp_path / "plan.json"),
    }
    playbook = str(REPOSITORY / "playbooks/plan.yml")
    printed = run(core, tmp_path, playbook, "--extra-vars", json.dumps(variables))
    assert "JupyterHub 4.1.6 -> 6.1.1" in printed
    (planned,) = json.loads((tmp_path / "plan.json").read_text()).values()
    assert planned["action"] == "upgrade"
    assert all((tmp_path / f"plan.{kind}").stat().st_size > 1000 for kind in ("html", "md"))


def test_the_oldest_is_the_one_that_the_collection_requires() -> None:
    runtime = yaml.safe_load((REPOSITORY / "meta/runtime.yml").read_text())
    assert runtime["requires_ansible"] == f">={next(iter(CORES))}.0"
