"""The playbooks, as an administrator runs them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hubs.playbook import run_playbook
from tests.redeployments.qhub_site import SECRETS, RealSite

#: What an inventory has of secrets, and the cloud's.
NAMED = {
    "qhub_keycloak_password": "planted-keycloak",
    "qhub_auth0_client_secret": "planted-auth0",
    "qhub_hub_token": "planted-token",
}
PLANTED = (*SECRETS, *NAMED.values(), "planted-key", "planted-secret")


def test_planned_redeployed_looked_at_and_redeployed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = RealSite(tmp_path)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    report = tmp_path / "report.json"
    variables = {**site.inventory(), **NAMED, "qhub_report_fetch": str(report)}
    content = site.content()

    def run(playbook: str, wanted: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        """As verbose as somebody runs it who looks for a fault, and without a secret."""
        done = run_playbook(playbook, tmp_path, wanted, "-vvv", *arguments)
        root = re.findall(r"initial_root_password: (\S+)", site.config)
        written = "".join(path.read_text() for path in tmp_path.glob("report.*"))
        assert [secret for secret in (*PLANTED, *root) if secret in done.stdout + done.stderr + written] == []
        return done

    blocked = run("qhub_redeploy.yml", {**variables, "qhub_project": ""})
    assert blocked.returncode != 0
    assert "No project name is given for the new site." in blocked.stdout
    # However it ends, it is told how it stands.
    assert "aws): not begun, 1 blockers" in blocked.stdout
    assert "No project name is given" in report.with_suffix(".md").read_text()

    planned = run("qhub_plan.yml", variables)
    assert "QHub 0.3.14 -> 0.4.5 at https://qhub.example.org (aws): not begun, 0 blockers" in planned.stdout
    assert (site.content(), site.state.exists()) == (content, False)

    site.have_programs()
    site.restore()
    done = run("qhub_redeploy.yml", variables, "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 14 steps done" in done.stdout
    assert "+project_name: newproj" in done.stdout
    assert "initial_root_password: ********" in done.stdout
    page = report.with_suffix(".html").read_text()
    assert "Next: Import users and groups into Keycloak." in page
    assert "qhub_rollback -i INVENTORY -e qhub_accept_loss=true" in page
    assert len(json.loads(report.read_text())["steps"]) == 14

    again = run("qhub_redeploy.yml", variables)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout

    told = run(
        "qhub_status.yml", {name: variables[name] for name in ("qhub_folder", "qhub_state_folder")}, "--diff"
    )
    assert re.search(r"done  Deploy the new site at 20\S+ by root\n +refused_before: yes", told.stdout), (
        told.stdout
    )
