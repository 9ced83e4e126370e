"""Environments whose interpreter an upgrade of the operating system has taken away. Real hubs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import all_packages
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services

from tests import REPOSITORY
from tests.hubs.module import run_module
from tests.hubs.real_hub import build, copy_environment, running_hub, supervised
from tests.hubs.small_wheels import fingerprint
from tests.testbed import prepared

VERSION = "5.4.6"
GONE = "/usr/lib/of-the-last-release/python3"
#: A site's own: a module that its config imports, beside the packages, and data.
MODULE = "def greet(authenticator, handler, authentication):\n    return authentication\n"
CONFIG = "import site_policy\nc.Authenticator.post_auth_hook = site_policy.greet\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with files of the site's own in it."""
    path = tmp_path_factory.mktemp("made") / "hub"
    build(path, VERSION, "jupyter-server")
    [packages] = path.glob("lib/python3*/site-packages")
    (packages / "site_policy.py").write_text(MODULE)
    (path / "site").mkdir(mode=0o750)
    (path / "site/roles.json").write_text("[]")
    (path / "site/roles.json").chmod(0o640)
    return path


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it in a place of its own."""
    place = tmp_path / "opt" / "hub"
    place.parent.mkdir()
    copy_environment(made, place)
    for script in (place / "bin").iterdir():
        if script.is_file() and not script.is_symlink() and str(made).encode() in script.read_bytes():
            script.write_text(script.read_text().replace(str(made), str(place)))
    return place


def take_away_python(environment: Path) -> None:
    """What an upgrade of the operating system does."""
    python = environment / "bin" / "python"
    python.unlink()
    python.symlink_to(GONE)


def rebuild(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The playbook, on the hub of this machine."""
    variables = {"jupyterhub_service": name, "ansible_python_interpreter": sys.executable}
    argv = [
        *(str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/rebuild.yml"),
        *("--inventory", "localhost,", "--connection", "local"),
        *("--extra-vars", json.dumps(variables), *arguments),
    ]
    environment = {**os.environ, **prepared.environment("ansible.builtin.local")}
    return subprocess.run(argv, cwd=REPOSITORY, env=environment, text=True, capture_output=True, check=False)


@contextmanager
def broken_hub(place: Path, folder: Path) -> Iterator[str]:
    """A hub that has stopped, and cannot start any more; gives its name."""
    with supervised(VERSION, folder, CONFIG, place) as name:
        take_away_python(place)
        yield name


def test_a_hub_whose_python_is_gone_serves_again(place: Path, tmp_path: Path) -> None:
    packages = all_packages(place)
    with broken_hub(place, tmp_path) as name:
        before = fingerprint(place.parent)
        checked = rebuild(name, "--check")
        assert checked.returncode == 0, checked.stdout
        assert f"{place} (JupyterHub {VERSION}): its interpreter {GONE} is gone. Would be" in checked.stdout
        assert fingerprint(place.parent) == before

        done = rebuild(name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"its interpreter {GONE} is gone. Rebuilt for " in done.stdout

        [service] = find_services(name)
        assert service.state() == "running"
        again = rebuild(name)
        assert again.returncode == 0 and "All environments can run." in again.stdout
        assert "changed=0" in again.stdout

        assert all_packages(place) == packages
        assert (place / "site/roles.json").stat().st_mode & 0o777 == 0o640
        assert (place / "site").stat().st_mode & 0o777 == 0o750
        [aside] = place.parent.glob("hub.broken-*")
        assert os.readlink(aside / "bin/python") == GONE
        assert sorted(place.parent.iterdir()) == [place, aside]


def test_a_hub_that_still_runs_is_not_taken_its_files(place: Path, tmp_path: Path) -> None:
    with running_hub(VERSION, tmp_path, config=CONFIG, place=place) as deployment:
        take_away_python(place)
        before = fingerprint(place.parent)
        refused = run_module("jupyterhub_rebuild", {"service": deployment.name})
        assert refused["failed"]
        assert refused["msg"] == (
            f"{place} cannot run any more (its interpreter {GONE} is gone), and the hub that runs was "
            f"started from it before that. Stop {deployment.service.name}, then rebuild: the hub is started "
            "again afterwards."
        )
        assert fingerprint(place.parent) == before
        assert api.version(deployment.config.hub_api_url) == VERSION


def test_the_environment_of_the_users_is_rebuilt_while_the_hub_serves(place: Path, tmp_path: Path) -> None:
    command = f"c.Spawner.cmd = ['{place}/bin/jupyterhub-singleuser']\n"
    with running_hub(VERSION, tmp_path, config=command) as deployment:
        take_away_python(place)
        hub = fingerprint(Path(deployment.hub_environment.path))
        done = run_module("jupyterhub_rebuild", {"service": deployment.name})
        assert not done["failed"], done
        assert [each["path"] for each in done["environments"]] == [str(place)]
        assert fingerprint(Path(deployment.hub_environment.path)) == hub
        ran = subprocess.run(
            [place / "bin/jupyterhub-singleuser", "--version"], capture_output=True, text=True
        )
        assert ran.stdout.strip() == VERSION, ran.stderr


def test_what_cannot_be_built_leaves_everything_as_it_was(place: Path, tmp_path: Path) -> None:
    empty = tmp_path / "wheels"
    empty.mkdir()
    with broken_hub(place, tmp_path) as name:
        before = fingerprint(place.parent)
        refused: dict[str, Any] = run_module("jupyterhub_rebuild", {"service": name, "wheels": str(empty)})
        assert refused["failed"] and "cannot be installed" in refused["msg"], refused
        assert fingerprint(place.parent) == before
