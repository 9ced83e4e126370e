"""The restore is tested with real environments and a real database before anything is changed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import manifest, recovery_point
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.trees import tree_sha256

from tests.hubs.real_hub import link_environment, stopped_hub
from tests.hubs.small_wheels import fingerprint
from tests.plans import plan_to, planned_environment


class Hub:
    """A hub with a recovery point for an upgrade of the hub's and of another environment."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.folder = folder
        self.environment = link_environment("4.1.6", folder / "env")
        self.users_environment = link_environment("4.1.6", folder / "user-env")
        deployment = replace(
            deployment,
            hub_environment=replace(deployment.hub_environment, path=str(self.environment)),
            user_environments=[replace(deployment.hub_environment, path=str(self.users_environment))],
        )
        entries = [planned_environment(Path(path), "6.1.1", jupyterhub="4.1.6") for path in self.paths]
        plan = plan_to("6.1.1", *entries)
        self.point = recovery_point.create(deployment, plan, str(folder / "state"), [], lock_timeout=5)

    @property
    def paths(self) -> list[str]:
        return [str(self.environment), str(self.users_environment)]

    def forge_database(self, statement: str) -> None:
        """Change the kept database and have the manifest's checksum fit."""
        kept = manifest.read(self.point)
        copy = self.point / kept.database.file
        with sqlite3.connect(copy) as connection:
            connection.execute(statement)
        connection.close()
        database = replace(kept.database, sha256=files.sha256(copy))
        manifest.write(self.point, replace(kept, database=database))

    def take_for_granted(self) -> None:
        """Have the manifest's hashes of the environments fit what they are now."""
        kept = manifest.read(self.point)
        environments = tuple(
            replace(entry, sha256=tree_sha256(Path(entry.path))) for entry in kept.environments
        )
        manifest.write(self.point, replace(kept, environments=environments))

    def spoil(self, environment: Path, file: str) -> None:
        """Have another text in one file of an environment; the other links to it keep theirs."""
        (path,) = environment.glob(f"lib/python3*/site-packages/{file}")
        path.unlink()
        path.write_text("raise ImportError('spoilt')\n")
        self.take_for_granted()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with stopped_hub("4.1.6", tmp_path) as deployment:
        yield Hub(deployment, tmp_path)


def refusal(hub: Hub) -> str:
    with pytest.raises(HubError) as refused:
        recovery_point.test_restore(hub.point)
    return str(refused.value)


def test_a_restore_test_that_passes_leaves_no_files(hub: Hub) -> None:
    before = fingerprint(hub.folder)
    recovery_point.test_restore(hub.point)
    assert fingerprint(hub.folder) == before


def test_files_of_a_killed_restore_test_are_removed(hub: Hub) -> None:
    left = hub.folder / "jupyterhub.sqlite.hubops-restore-test"
    left.mkdir()
    (left / "restore-test.sqlite").write_text("left")
    recovery_point.test_restore(hub.point)
    assert not left.exists()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (
            "update alembic_version set version_num = 'f460b0348206'",
            "has revision f460b0348206, not 0eee8c825d24",
        ),
        ("delete from users where name = 'user1'", "has other numbers of rows in users"),
    ],
)
def test_a_database_that_is_not_the_manifest_s_is_found(hub: Hub, statement: str, complaint: str) -> None:
    hub.forge_database(statement)
    assert complaint in refusal(hub)


def test_a_database_that_the_old_hub_does_not_take_is_found(hub: Hub) -> None:
    kept = manifest.read(hub.point)
    database = replace(kept.database, revision="f460b0348206")
    manifest.write(hub.point, replace(kept, database=database))
    hub.forge_database("update alembic_version set version_num = 'f460b0348206'")
    assert f"{hub.environment} cannot serve again: " in refusal(hub)


def test_every_environment_that_cannot_serve_again_is_named(hub: Hub) -> None:
    hub.spoil(hub.environment, "jupyterhub/orm.py")
    hub.spoil(hub.users_environment, "jupyterhub/__init__.py")
    said = refusal(hub)
    for path in hub.paths:
        assert f"{path} cannot serve again: ImportError: spoilt" in said
    assert not (hub.folder / "jupyterhub.sqlite.hubops-restore-test").exists()


def test_an_environment_that_is_not_what_it_was_is_found(hub: Hub) -> None:
    (hub.users_environment / "pyvenv.cfg").unlink()
    assert f"the environment {hub.users_environment} has changed since" in refusal(hub)


def test_a_missing_python_is_reported(hub: Hub) -> None:
    shutil.rmtree(hub.users_environment / "bin")
    hub.take_for_granted()
    assert f"{hub.users_environment} cannot serve again: its Python is gone" in refusal(hub)
