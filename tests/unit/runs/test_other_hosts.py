"""How other hosts of single-user servers ended: in the run's record, and so in all that is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.status import of_hub
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.journal import Run
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.modules.jupyterhub_report import reported

from tests import stories

HOSTS = [
    {"host": "node1", "ended": "upgraded", "why": "", "line": "On node1: "},
    {"host": "node2", "ended": "left out", "why": "It cannot be reached."},
    {"host": "node3", "ended": "failed", "why": "The old environments are in place."},
]


def reported_with_hosts(base: Path, run: Run) -> tuple[Path, dict[str, Any]]:
    folder = base / run.deployment.name
    folder.mkdir()
    journal.write(folder, run)
    params = {
        "deployment": to_dict(run.deployment),
        "state_folder": str(base),
        "run": run.id,
        "failure": {},
        "holder": {},
        "other_hosts": HOSTS,
    }
    result: dict[str, Any] = reported(params, False)
    return folder, result["report"]


def test_the_hubs_host_remembers_how_each_of_them_ended(tmp_path: Path) -> None:
    folder, made = reported_with_hosts(tmp_path, stories.upgraded())
    assert "Other hosts: 1 upgraded, 1 left out (node2), 1 failed (node3)" in report.lines(made, "hub1")
    assert "On node3: The old environments are in place." in made["warnings"]
    last = of_hub(folder).last
    assert last and [each.ended for each in last.other_hosts] == ["upgraded", "left out", "failed"]


@pytest.mark.parametrize("stands", [journal.RESTORING, journal.STUCK])
def test_the_record_of_a_run_that_is_not_over_is_left_to_the_guard(tmp_path: Path, stands: str) -> None:
    run = stories.restored()
    run.phase = stands
    folder, made = reported_with_hosts(tmp_path, run)
    assert [each["host"] for each in made["other_hosts"]] == ["node1", "node2", "node3"]
    kept = journal.read(folder)
    assert kept and kept.taken("other hosts") is None
