"""Which hubs of a fleet the playbook begins, on hosts without a hub, where each upgrade fails at once.

What a fleet is whose hubs can be upgraded: ``tests/refusals/test_fleet.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.window import DAYS
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests import REPOSITORY, stories
from tests.testbed import prepared

LOCAL = "ansible.builtin.local"


def fleet(
    folder: Path, hosts: dict[str, dict[str, Any]], *arguments: str, **variables: Any
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Run ``fleet.yml``; what was printed, and the outcome of each hub by the fleet's report."""
    report = folder / "fleet.json"
    usual = {
        "ansible_connection": LOCAL,
        "ansible_python_interpreter": sys.executable,
        "jupyterhub_audit": "never",
        "jupyterhub_version": "6.1.1",
        "jupyterhub_service": "no-such-hub.service",
        "jupyterhub_fleet_report": str(report),
    }
    places = {host: {"jupyterhub_state_folder": str(folder / host), **each} for host, each in hosts.items()}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"hubs": {"hosts": places, "vars": {**usual, **variables}}}))
    ran = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--inventory", str(inventory), "playbooks/fleet.yml", *arguments),
        ],
        cwd=REPOSITORY,
        env={**os.environ, **prepared.environment(LOCAL), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert report.exists(), ran.stdout
    return ran, {hub["host"]: hub["outcome"] for hub in json.loads(report.read_text())["hubs"]}


def test_no_further_hub_is_begun_after_a_failure(tmp_path: Path) -> None:
    hosts: dict[str, dict[str, Any]] = {"hub1": {}, "hub2": {}, "hub3": {}}
    ran, outcomes = fleet(
        tmp_path, hosts, "--forks=1", jupyterhub_canaries=["hub2", "hub1"], jupyterhub_serial=1
    )
    assert ran.returncode == 2
    assert outcomes == {"hub1": "waiting", "hub2": "failed", "hub3": "waiting"}
    assert "There is no service no-such-hub.service" in (tmp_path / "fleet.html").read_text()


def test_hubs_that_are_done_are_skipped_and_one_that_cannot_be_reached_stops_the_others(
    tmp_path: Path,
) -> None:
    done = tmp_path / "hub1/no-such-hub"
    done.mkdir(parents=True, mode=0o700)
    journal.write(done, stories.upgraded())
    away = {"ansible_connection": "ansible.builtin.ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    ran, outcomes = fleet(tmp_path, {"hub1": {}, "hub2": away, "hub3": {}})
    assert ran.returncode == 2
    assert outcomes == {"hub1": "upgraded", "hub2": "unreachable", "hub3": "waiting"}
    assert "1 of 3 hubs: hub1" in (tmp_path / "fleet.html").read_text(), "no findings by frequency"
    assert "hub2 (unreachable)" in ran.stdout and "Begin a run" not in ran.stdout


def test_a_hub_whose_window_is_closed_is_not_begun_and_the_job_is_green(tmp_path: Path) -> None:
    in_three_days = DAYS[(datetime.now() + timedelta(days=3)).weekday()]
    window = {"days": [in_three_days], "start": "12:00", "hours": 1}
    ran, outcomes = fleet(tmp_path, {"hub1": {}}, jupyterhub_window=window)
    assert (ran.returncode, outcomes) == (0, {"hub1": "waiting"})
    assert "The next hubs begin not before" in ran.stdout


def test_nothing_is_begun_while_the_pause_file_exists_and_the_job_is_green(tmp_path: Path) -> None:
    pause = tmp_path / "pause"
    pause.touch()
    ran, outcomes = fleet(tmp_path, {"hub1": {}}, jupyterhub_pause_file=str(pause))
    assert (ran.returncode, outcomes) == (0, {"hub1": "waiting"})
    assert f"Paused: no further hub is begun while {pause} exists." in ran.stdout
