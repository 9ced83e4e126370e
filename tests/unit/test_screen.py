"""What a person reads of a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PackageChange
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans

from tests.plans import plan_to

WARNING = Finding(
    "kill-mode", "warning", "KillMode is control-group.", "Servers end with the hub.", "Set KillMode=process."
)
BLOCKER = replace(WARNING, id="no-space", severity="blocker", accept=True)
NOTE = replace(WARNING, id="changes-6", severity="note", found="It crosses 6.0.")
PLAN = replace(
    plan_to("6.1.1"),
    findings=(NOTE, WARNING),
    packages={"/opt/hub": (PackageChange("aiohttp", None, "3.14.5"),)},
)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "JupyterHub 4.1.6 -> 6.1.1, 0 blockers, 1 warning"),
        (
            {"expected_outage_seconds": 4.2},
            "JupyterHub 4.1.6 -> 6.1.1, outage about 4 s, 0 blockers, 1 warning",
        ),
        ({"outage": False}, "JupyterHub 4.1.6 -> 6.1.1, no outage, 0 blockers, 1 warning"),
        ({"findings": (BLOCKER, BLOCKER)}, "JupyterHub 4.1.6 -> 6.1.1, 2 blockers, 0 warnings"),
        ({"action": "nothing"}, "JupyterHub 6.1.1 already, nothing to do"),
    ],
)
def test_the_verdict_is_one_line(changed: dict[str, Any], verdict: str) -> None:
    assert plans.verdict(replace(PLAN, **changed), "hub1") == f"hub1: {verdict}"


def test_what_forbids_the_upgrade_comes_first_with_its_remedy() -> None:
    assert plans.lines_of([NOTE, WARNING, BLOCKER], details=False) == [
        "blocker no-space: KillMode is control-group. Servers end with the hub.",
        "    Fix: Set KillMode=process. Or accept it: jupyterhub_accept: [no-space].",
        "warning kill-mode: KillMode is control-group. Servers end with the hub.",
        "    Fix: Set KillMode=process.",
        "note changes-6: It crosses 6.0.",
    ]


def test_with_details_a_note_says_what_to_do_and_a_package_where_it_goes() -> None:
    assert plans.lines_of([NOTE], details=True)[1] == "    Fix: Set KillMode=process."
    assert plans.packages(PLAN, details=False) == ["/opt/hub: 1 package changes"]
    assert plans.packages(PLAN, details=True)[1] == "    aiohttp (none) -> 3.14.5"


def test_what_staging_and_rehearsal_have_shown_completes_the_plan() -> None:
    staged = [{"path": "/opt/hub", "changes": [{"name": "jupyterhub", "from": "4.1.6", "to": "6.1.1"}]}]
    rehearsal = {"findings": [to_dict(BLOCKER)], "expected_outage_seconds": 4.2, "timings": {"start": 2.0}}
    completed = plans.completed(PLAN, staged, rehearsal)
    assert completed.packages == {"/opt/hub": (PackageChange("jupyterhub", "4.1.6", "6.1.1"),)}
    assert completed.findings == (NOTE, WARNING, BLOCKER)
    assert (completed.expected_outage_seconds, completed.rehearsal_seconds) == (4.2, {"start": 2.0})
