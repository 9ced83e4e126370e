"""What a file of reviewed plans decides, before anything is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import reviewed_plans

from tests import stories

PLAN = stories.plan()


class Action(ActionBase):
    """Finds files as they are named."""

    def __init__(self) -> None:
        pass

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def _find_needle(self, dirname: str, needle: str) -> str:
        return needle


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read: Expecting property name"),
        ("[]", "has no plans by host."),
    ],
)
def test_a_file_that_has_no_plans_is_refused(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(content)
    with pytest.raises(HubError, match=f"plan.json {said}") as refused:
        reviewed_plans.read(Action(), str(file))
    assert refused.value.hint == "Name the file that plan.yml has written: jupyterhub_plan."


def test_without_a_file_no_plan_was_reviewed(tmp_path: Path) -> None:
    assert reviewed_plans.read(Action(), "") == {}
    assert reviewed_plans.objections(PLAN, [], {}, "hub1", "") == []
    (tmp_path / "plan.json").write_text(json.dumps({"hub1": {"to_version": "6.1.1"}}))
    assert list(reviewed_plans.read(Action(), str(tmp_path / "plan.json"))) == ["hub1"]


@pytest.mark.parametrize(
    ("wanted", "reviewed", "found"),
    [
        ("latest", {"hub1": {"to_version": "6.1.1"}}, "6.1.1"),
        ("patch", {"hub1": {"to_version": "4.1.6"}}, "4.1.6"),
        ("latest", {"hub2": {"to_version": "6.1.1"}}, "latest"),
        ("latest", {}, "latest"),
        ("5.4.6", {"hub1": {"to_version": "6.1.1"}}, "5.4.6"),
    ],
)
def test_it_says_what_a_word_means_and_overrules_no_number(
    wanted: str, reviewed: dict[str, Any], found: str
) -> None:
    assert reviewed_plans.version(wanted, reviewed, "hub1") == found


@pytest.mark.parametrize(
    ("changed", "blockers", "reviewed", "said"),
    [
        ({}, ["no-space: /opt is full."], {}, "no-space: /opt is full."),
        ({}, [], {}, "plan.json has no plan for hub1. Run plan.yml for this host, with the same"),
        (
            {},
            [],
            {"to_version": "6.1.0"},
            "This is not the plan that was reviewed, plan.json: The upgrade is",
        ),
        ({}, [], to_dict(PLAN), ""),
        ({"action": "nothing"}, [], {}, ""),
    ],
)
def test_what_forbids_to_carry_it_out(
    changed: dict[str, Any], blockers: list[str], reviewed: dict[str, Any], said: str
) -> None:
    plan = from_dict(Plan, {**to_dict(PLAN), **changed})
    plans = {"hub1": {**to_dict(PLAN), **reviewed}} if reviewed else {}
    found = reviewed_plans.objections(plan, blockers, plans, "hub1", "plan.json")
    assert len(found) == bool(said) and all(each.startswith(said) for each in found)
