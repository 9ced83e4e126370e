"""What speaks against the move of a hub's database, found before anything is changed. A real hub."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import moving
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.moving import KINDS
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import MOVE, NOTHING, Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.hubs.real_hub import stopped_hub

OWN = {kind.id for kind in KINDS}
LINE = "c.JupyterHub.db_url = 'sqlite:///jupyterhub.sqlite'"


class Hub:
    """A hub that could be moved, from one SQLite file to another."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.config, self.old, self.new = (
            folder / "jupyterhub_config.py",
            folder / "jupyterhub.sqlite",
            folder / "new.sqlite",
        )

    def plan(self, url: str = "", write_config: bool = True) -> Plan:
        base = str(self.folder / "state")
        deployment = find_deployment(self.name)
        wanted = url or f"sqlite:///{self.new}"
        return moving.plan(deployment, wanted, write_config=write_config, policy=Policy(), base=base)

    def findings(self, url: str = "", write_config: bool = True) -> dict[str, Finding]:
        """What only a move can have, by its id."""
        found = self.plan(url, write_config).findings
        return {finding.id: finding for finding in found if finding.id in OWN}

    def change(self, database: Path, *statements: str) -> None:
        with closing(sqlite3.connect(database)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with stopped_hub("4.1.6", tmp_path, config=f"{LINE}\n") as deployment:
        yield Hub(deployment.name, tmp_path)


def test_a_hub_that_can_be_moved(hub: Hub) -> None:
    plan = hub.plan()
    assert {finding.id for finding in plan.findings} & OWN == set()
    assert (plan.action, plan.outage, plan.migrate, plan.environments) == (MOVE, True, False, ())
    assert plan.move and plan.move.database.path == str(hub.new)
    assert f"+c.JupyterHub.db_url = 'sqlite:///{hub.new}'" in plan.move.diff
    assert any(f"Copy all rows to {hub.new}" in step for step in plan.steps)

    there = hub.plan("sqlite:///jupyterhub.sqlite")
    assert (there.action, there.outage, there.move, there.steps) == (NOTHING, False, None, ())


def test_the_new_database(hub: Hub) -> None:
    found = hub.findings("mssql://hub@db/hub")
    assert "mssql://hub@db/hub is none of" in found["move-not-supported"].found

    found = hub.findings("postgresql+psycopg2://hub:secret@127.0.0.1:1/hub")
    assert "No module named 'psycopg2'" in found["move-not-reachable"].found
    assert "may be read by everybody" in found["move-config-open"].found
    assert "secret" not in str(found)

    hub.change(hub.new, "CREATE TABLE songs (name TEXT)")
    assert "new.sqlite has tables: songs." in hub.findings()["move-not-empty"].found

    owner = moving.target_of(
        find_deployment(hub.name), "", state.state_folder(hub.name, str(hub.folder / "state"))
    ).owner
    hub.change(hub.new, "CREATE TABLE hubops_move (owner TEXT, made TEXT)")
    hub.change(hub.new, f"INSERT INTO hubops_move VALUES ('{owner}', 'songs')")
    assert set(hub.findings()) == {"move-leftover"}


def test_the_old_database(hub: Hub) -> None:
    hub.change(hub.old, "CREATE VIEW names AS SELECT name FROM users")
    hub.change(hub.old, "UPDATE api_tokens SET user_id = 77 WHERE id = 1")
    found = hub.findings()
    assert "has views: names." in found["move-views"].found
    assert "refer to nothing (api_tokens: 1)" in found["move-broken-references"].found


def test_the_config(hub: Hub) -> None:
    found = hub.findings(write_config=False)
    assert set(found) == {"move-config-not-written"}
    assert (
        f"\n-{LINE}\n+c.JupyterHub.db_url = 'sqlite:///{hub.new}'\n" in found["move-config-not-written"].found
    )

    computed = f"import os\nc.JupyterHub.db_url = os.environ.get('DB', '{hub.old}')"
    hub.config.write_text(hub.config.read_text().replace(LINE, computed))
    found = hub.findings()
    assert "comes from the environment or from code" in found["move-config-line"].found
    assert "Write the present address there as a plain text" in found["move-config-line"].fix
