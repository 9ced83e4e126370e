"""Every pair of versions: upgrade, rollback, upgrade again, with users who work on each hub. Real hubs."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder

from tests.hubs import conda
from tests.hubs.real_hub import build, copy_environment, running_hub
from tests.plans import plan_to, planned_environment

PAIRS = [
    ("1.5.1", "2.3.1"),
    ("1.5.1", "6.1.1"),
    ("2.3.1", "4.1.6"),
    ("3.1.1", "5.4.6"),
    ("3.1.1", "6.1.1"),
    ("5.4.6", "6.1.1"),
]
TOKEN = "token-of-the-test"
CONFIG = f"""
import jupyterhub
of_1 = jupyterhub.version_info < (2,)
c.JupyterHub.services = [{{"name": "test", "api_token": "{TOKEN}", **({{"admin": True}} if of_1 else {{}})}}]
if not of_1:
    c.JupyterHub.load_roles = [{{"name": "test", "scopes": ["admin:users"], "services": ["test"]}}]
"""
SECONDS = 60


class Hub:
    """A hub in an environment of its own, with all that an upgrade does to it."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.base, self.kept = deployment, str(folder / "state"), folder / "kept"

    def upgrade(self, version: str) -> Path:
        """Upgrade, the second time to what was staged for the first; return the recovery point of before."""
        deployment = self.deployment = find_deployment(self.deployment.name)
        old = deployment.hub_environment
        entry = planned_environment(Path(old.path), version, kind=old.kind, jupyterhub=old.jupyterhub)

        def apply(state: str, point: str = "") -> bool:
            done = transitions.apply(state, [entry], point, InstallerOptions(), Progress())
            return bool(done["changed"])

        if self.kept.exists():
            copy_environment(self.kept, Path(entry.staged_path))
            assert not apply("staged")
        else:
            assert apply("staged")
            copy_environment(Path(entry.staged_path), self.kept)
        point = recovery_point.create(deployment, plan_to(version, entry), self.base, [], 5)
        self.stop()
        recovery_point.seal(point, 5)
        migration.migrate(
            database_of(deployment.database),
            service_of(deployment.service).context(),
            entry.staged_path,
            state_folder(deployment.name, self.base),
        )
        apply("switched", point.name)
        lifecycle.start(deployment, self.base, version, SECONDS)
        return point

    def stop(self) -> None:
        lifecycle.stop(self.deployment, self.base, "a test", SECONDS)

    def save(self) -> None:
        """What a rollback keeps before it leaves this hub."""
        deployment = self.deployment = find_deployment(self.deployment.name)
        point = recovery_point.create(deployment, None, self.base, [], 5, "rollback")
        self.stop()
        recovery_point.seal(point, 5)

    def api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(
            f"{self.deployment.config.hub_api_url}{path}",
            method=method,
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read())

    def users(self) -> list[str]:
        return sorted(user["name"] for user in self.api("/users"))

    def version(self) -> str | None:
        return api.version(self.deployment.config.hub_api_url)


@pytest.mark.alone
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_upgrade_rollback_and_upgrade_again(old: str, new: str, tmp_path: Path) -> None:
    place = tmp_path / "environment"
    build(place, old)
    upgrade_rollback_and_upgrade_again(old, new, tmp_path, place)


@pytest.mark.alone
def test_a_hub_in_a_conda_environment(tmp_path: Path) -> None:
    old, new = "4.1.6", "6.1.1"
    place = conda.create(tmp_path / "environment", conda.channel(old, new), f"jupyterhub={old}")
    upgrade_rollback_and_upgrade_again(old, new, tmp_path, place)


def upgrade_rollback_and_upgrade_again(old: str, new: str, tmp_path: Path, place: Path) -> None:
    with running_hub(old, tmp_path, config=CONFIG, place=place) as deployment:
        hub = Hub(deployment, tmp_path)
        hub.api("/users/of-the-old", "POST")
        before = hub.users()
        point = hub.upgrade(new)
        assert (hub.version(), hub.users()) == (new, before)
        hub.api("/users/of-the-new", "POST")
        hub.save()
        recovery_point.restore(point, SECONDS, SECONDS)
        assert (hub.version(), hub.users()) == (old, before)
        hub.api("/users/of-the-old-again", "POST")
        hub.upgrade(new)
        assert (hub.version(), hub.users()) == (new, sorted([*before, "of-the-old-again"]))
