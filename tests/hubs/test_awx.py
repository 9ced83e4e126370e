"""AWX is set up, found as it should be, and cleared, over a stand-in's API: ``tests/awx_service.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.awx import objects
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests import REPOSITORY, awx_service
from tests.awx_service import Awx
from tests.testbed import prepared

VARIABLES: dict[str, Any] = {
    "awx_image": "registry.example.org/hubops-ee:0.1.0",
    "awx_project_url": "https://git.example.org/hubs.git",
    "awx_credential": "hubs",
    "awx_notification": "chat",
    "awx_window": {"days": ["sat", "sun"], "start": "22:00", "hours": 4},
    "awx_time_zone": "Europe/Berlin",
}


def run(address: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run ``awx.yml``."""
    extra = json.dumps({"awx_url": address, "awx_token": awx_service.TOKEN, **VARIABLES, **variables})
    local = "ansible.builtin.local"
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/awx.yml", "-e", extra, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **prepared.environment(local), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_awx_is_set_up_once_and_cleared_again() -> None:
    awx = Awx()
    with awx_service.serving(awx) as address:
        made = run(address)
        assert "changed=1" in made.stdout, made.stdout
        assert_is_set_up(awx)
        before = len(awx.requests)
        assert "changed=0" in run(address).stdout
        assert {each.split()[0] for each in awx.requests[before:]} == {"GET"}
        changed = run(address, awx_image="registry.example.org/hubops-ee:0.2.0")
        assert "changed=1" in changed.stdout
        assert [each for each in awx.requests if each.startswith("PATCH")] == [
            f"PATCH execution_environments/{awx.of('execution_environments')[0]['id']}/"
        ]
        assert "changed=1" in run(address, awx_state="absent").stdout
        left = {each["type"] for each in awx.objects.values()}
        assert left <= {
            "organizations",
            "credentials",
            "notification_templates",
            "workflow_approval_templates",
        }
        lost = run(address, awx_project_url="https://git.example.org/nowhere.git")
        assert "AWX has not updated 'JupyterHub' of its projects: failed." in lost.stdout
        refused = run(address, awx_token="of somebody else")
        assert "Give the token of a user who may administer the organization." in refused.stdout


def assert_is_set_up(awx: Awx) -> None:
    templates = {each["name"]: each for each in awx.of("job_templates")}
    for template in templates.values():
        assert (REPOSITORY / "awx" / template["playbook"]).exists()
    asked = {each["variable"]: each for each in awx.surveys[templates["JupyterHub: upgrade"]["id"]]["spec"]}
    assert asked["jupyterhub_running_servers"]["choices"] == ["auto", "keep", "wait", "stop", "refuse"]
    assert asked["jupyterhub_retry"]["question_description"].endswith("as the inventory says, else false.")
    overridden = {name: awx.passed(template["id"]) for name, template in templates.items()}
    assert not any(overridden.values()), "what is not answered overrides the inventory"
    rollback = awx.surveys[templates["JupyterHub: rollback"]["id"]]["spec"]
    assert not any(question["required"] for question in rollback), "it needs parameters"

    nodes = {each["identifier"]: each for each in awx.of("workflow_job_template_nodes")}
    names = {each["id"]: name for name, each in nodes.items()}

    def after(name: str, how: str) -> list[str]:
        return [names[each] for each in awx.links.get((nodes[name]["id"], f"{how}_nodes"), [])]

    follows = {name: (after(name, "success"), after(name, "failure")) for name in nodes}
    assert follows == {
        "plan": (["agree"], []),
        "agree": (["upgrade"], []),
        "upgrade": (["verify"], ["status"]),
        "verify": ([], ["give up"]),
        "give up": (["rollback"], []),
        "rollback": ([], []),
        "status": ([], []),
    }
    approvals = {each["id"]: each["name"] for each in awx.of("workflow_approval_templates")}
    assert approvals[nodes["agree"]["unified_job_template"]] == "Agree to the plan"
    [schedule] = awx.of("schedules")
    assert schedule["rrule"] == (
        "DTSTART;TZID=Europe/Berlin:20260101T220000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SA,SU"
    )


def test_the_project_imports_the_playbooks_by_their_names() -> None:
    for playbook in objects.TEMPLATES:
        [play] = yaml.safe_load((REPOSITORY / f"awx/{playbook}.yml").read_text())
        assert play["ansible.builtin.import_playbook"] == f"hubops.jupyterhub.{playbook}"
        assert (REPOSITORY / f"playbooks/{playbook}.yml").exists()


def test_a_window_that_is_none() -> None:
    with pytest.raises(HubError, match="is no window"):
        objects.rrule({"days": ["someday"], "start": "22:00"}, "UTC")
