"""The playbooks, as an administrator runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hubs.playbook import run_playbook
from tests.redeployments.qhub_site import SECRETS, RealSite


def test_planned_redeployed_looked_at_and_redeployed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = RealSite(tmp_path)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    variables = site.inventory()
    content = site.content()

    blocked = run_playbook("qhub_redeploy.yml", tmp_path, {**variables, "qhub_project": ""})
    assert blocked.returncode != 0
    assert "No project name is given for the new site." in blocked.stdout

    planned = run_playbook("qhub_plan.yml", tmp_path, variables)
    assert "QHub 0.3.14 -> 0.4.5 at https://qhub.example.org (aws): not begun, 0 blockers" in planned.stdout
    assert (site.content(), site.state.exists()) == (content, False)

    site.have_programs()
    site.restore()
    done = run_playbook("qhub_redeploy.yml", tmp_path, variables, "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 14 steps done" in done.stdout
    assert "+project_name: newproj" in done.stdout
    [password] = re.findall(r"initial_root_password: (\S+)", site.config)
    assert [secret for secret in (*SECRETS, password) if secret in done.stdout + done.stderr] == []

    again = run_playbook("qhub_redeploy.yml", tmp_path, variables)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout

    told = run_playbook(
        "qhub_status.yml", tmp_path, {name: variables[name] for name in ("qhub_folder", "qhub_state_folder")}
    )
    assert re.search(r"done  Deploy the new site at 20\S+ by root\n +refused_before: yes", told.stdout), (
        told.stdout
    )
