"""Nothing that the hub or the site writes becomes old when its environment is exchanged. Real hubs."""

from __future__ import annotations

import json
import os
import sqlite3
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.own_files import own_files
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PlannedEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import host
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point

from tests.hubs.real_hub import build, running_hub, supervised
from tests.hubs.small_wheels import UV, make_hub_wheel, make_venv
from tests.plans import plan_to, planned_environment

OLD, NEW, TOKEN = "4.1.6", "5.4.6", "token-of-the-test"
CONFIG = f"""
c.JupyterHub.services = [{{"name": "test", "api_token": "{TOKEN}"}}]
c.JupyterHub.load_roles = [{{"name": "test", "scopes": ["admin:users"], "services": ["test"]}}]
"""


def findings_of(deployment: Deployment, base: Path, **policy: Any) -> dict[str, Finding]:
    """The findings about the files of the site, by their ids."""
    seen = host.look(deployment, str(base), policy.get("python", ""))
    plan = make_plan(deployment, Target(NEW, ">=3.8"), seen, Policy(**policy))
    return {each.id: each for each in plan.findings if each.id == "written-inside"}


def add_user(deployment: Deployment, name: str) -> None:
    request = urllib.request.Request(
        f"{deployment.config.hub_api_url}/users/{name}",
        method="POST",
        headers={"Authorization": f"token {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["name"] == name


def users(database: Path) -> list[str]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        found = [row[0] for row in connection.execute("SELECT name FROM users ORDER BY name")]
    connection.close()
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that is the hub's working directory, too."""
    path = tmp_path_factory.mktemp("hub") / "jupyterhub"
    build(path, OLD)
    return path


def test_a_hub_that_works_in_its_environment_is_refused(place: Path, tmp_path: Path) -> None:
    with running_hub(OLD, place, config=CONFIG, place=place) as deployment:
        found = findings_of(deployment, tmp_path)
        assert found["written-inside"].severity == "blocker" and not found["written-inside"].accept
        assert found["written-inside"].found == (
            f"{place} has files that are written while the hub serves: "
            f"{place}/jupyterhub-proxy.pid (c.ConfigurableHTTPProxy.pid_file), "
            f"{place}/jupyterhub_cookie_secret (c.JupyterHub.cookie_secret_file), "
            f"{place}/jupyterhub.sqlite (c.JupyterHub.db_url), {place}/hub.log (the service's log)."
        )
        assert findings_of(deployment, tmp_path, strategy="in_place").keys() == {"written-inside"}

        # Should it come so far all the same: what is written after the copy was made is not left behind.
        entry = planned_environment(place, NEW, jupyterhub=OLD)
        stage(entry, Installer(InstallerOptions(), str(place)), Progress())
        add_user(deployment, "ada")
        with pytest.raises(HubError) as refused:
            recovery_point.create(deployment, plan_to(NEW, entry), str(tmp_path), [], 5)
        assert f"Files in {place} have changed since {entry.staged_path} was made" in refused.value.message
        assert f"{place}/jupyterhub.sqlite" in refused.value.message
        assert "ada" in users(place / "jupyterhub.sqlite")
        assert "ada" not in users(Path(entry.staged_path) / "jupyterhub.sqlite")


def test_a_config_in_the_environment_is_no_obstacle(place: Path, tmp_path: Path) -> None:
    folder = place / "etc"
    folder.mkdir()
    with supervised(OLD, tmp_path, CONFIG, place) as name:
        (tmp_path / "jupyterhub_config.py").rename(folder / "jupyterhub_config.py")
        (tmp_path / "jupyterhub_config.py").symlink_to(folder / "jupyterhub_config.py")
        assert findings_of(find_deployment(name), tmp_path) == {}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PlannedEnvironment, Installer]:
    """An entry of a plan for a small environment with a config in it, and its installer."""
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")
    wheels = tmp_path / "wheels"
    for version in ("1.0.0", "2.0.0"):
        make_hub_wheel(wheels, version)
    venv = make_venv(tmp_path / "env", wheels, "jupyterhub==1.0.0")
    (venv / "jupyterhub_config.d").mkdir()
    (venv / "jupyterhub_config.d/one.py").write_text("1")
    return planned_environment(venv, "2.0.0"), Installer(InstallerOptions(wheels=str(wheels)), str(venv))


def test_an_environment_that_is_rebuilt_has_the_files_of_the_site(
    small: tuple[PlannedEnvironment, Installer],
) -> None:
    entry, installer = small
    old = Path(entry.path)
    [packages] = old.glob("lib/python3*/site-packages")
    (packages / "site_policy.py").write_text("")
    (old / "jupyterhub_config.d").chmod(0o750)
    (old / "jupyterhub_config.d/one.py").chmod(0o640)
    (old / "bin/start").symlink_to("jupyterhub")
    stage(replace(entry, strategy="rebuild"), installer, Progress())
    new = Path(entry.staged_path)
    assert (new / "jupyterhub_config.d/one.py").read_text() == "1"
    assert (new / "jupyterhub_config.d/one.py").stat().st_mode & 0o777 == 0o640
    assert (new / "jupyterhub_config.d").stat().st_mode & 0o777 == 0o750
    assert (new / "bin/start").readlink() == Path("jupyterhub")
    assert [path.name for path in new.glob("lib/python3*/site-packages/site_policy.py")] == ["site_policy.py"]
    assert {"jupyterhub_config.d/one.py", "bin/start"} < set(own_files(old))
    assert len(own_files(old)) == 3


@pytest.mark.parametrize("change", ["written", "as long as before", "added", "removed", "linked elsewhere"])
def test_what_the_site_changes_after_the_plan_is_in_the_new_environment(
    small: tuple[PlannedEnvironment, Installer], change: str
) -> None:
    entry, installer = small
    assert stage(entry, installer, Progress()).changed
    assert not stage(entry, installer, Progress()).changed
    folder = Path(entry.path) / "jupyterhub_config.d"
    if change == "written":
        (folder / "one.py").write_text("a = 1")
    elif change == "as long as before":
        (folder / "one.py").write_text("2")
    elif change == "added":
        (folder / "two.py").write_text("")
    elif change == "removed":
        (folder / "one.py").unlink()
    else:
        (folder / "one.py").rename(folder / "two.py")
        (folder / "one.py").symlink_to("two.py")
    staged = stage(entry, installer, Progress())
    assert staged.changed
    new = Path(staged.staged_path) / "jupyterhub_config.d"
    assert {path.name: path.read_text() for path in new.iterdir()} == {
        path.name: path.read_text() for path in folder.iterdir()
    }


def test_bytecode_that_the_hub_writes_changes_nothing(small: tuple[PlannedEnvironment, Installer]) -> None:
    entry, installer = small
    stage(entry, installer, Progress())
    [package] = Path(entry.path).glob("lib/python*/site-packages/jupyterhub")
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__/app.cpython-311.pyc").write_bytes(b"x")
    assert not stage(entry, installer, Progress()).changed
