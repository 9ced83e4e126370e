"""A migration that fails in one step: it is found while the hub serves, and another way is taken, or none."""

from __future__ import annotations

import json
from pathlib import Path

from tests.testbed import Hub, lost_rows
from tests.testbed.judge import entries
from tests.testbed.releases import MIGRATION_BREAKS, MIGRATION_TO_5, VERSION
from tests.testbed.staged import broken

from .refusal import failed_staging


def test_the_way_through_the_majors_is_planned_and_taken(fresh_hub: Hub, tmp_path: Path) -> None:
    hub = fresh_hub
    wanted = broken(hub, {MIGRATION_TO_5: MIGRATION_BREAKS})
    said = failed_staging(hub, **wanted)
    assert said.startswith("rehearsal-migration: The rehearsal on a copy of the database failed.")
    assert "this step breaks" in said
    assert "The fallback path cannot be tried: " in said
    assert "jupyterhub==5.4.6" in said

    folder = wanted["jupyterhub_wheels"]
    pip = ["/opt/user-env/bin/python", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    hub.exec([*pip, "jupyterhub==5.4.6"])
    rows = hub.rows()
    reviewed = tmp_path / "plan.json"
    shown = hub.playbook("plan.yml", {**wanted, "jupyterhub_plan": str(reviewed)}).stdout
    assert "The migration fails in one step. It is tried through JupyterHub 5.4.6:" in shown
    assert "The migration goes through JupyterHub 5.4.6." in shown
    plan = json.loads(reviewed.read_text())[hub.container]
    [intermediate] = plan["intermediate_versions"]
    assert (intermediate["version"], intermediate["source"]) == ("5.4.6", "the rehearsal on this host")
    assert "this step breaks" in intermediate["why"]
    assert f"Migrate {hub.layout.database} through JupyterHub 5.4.6." in plan["steps"]
    assert [finding for finding in plan["findings"] if finding["severity"] == "blocker"] == []

    hub.playbook("upgrade.yml", {**wanted, "jupyterhub_plan": str(reviewed)})
    hub.wait_until_answers(VERSION)
    assert lost_rows(rows, hub.rows()) == []
    assert [path for path in entries(hub) if ".intermediate-" in path or ".staged-" in path] == []
