from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report import compose

DEPLOYMENT = {
    "service": {"name": "jupyterhub.service"},
    "hub_environment": {"jupyterhub": "4.1.6"},
    "config": {"warnings": ["deprecated"]},
}
PLAN = {"action": "upgrade", "to_version": "6.1.1", "findings": []}
STOP = {"stopped_at": 100.0, "seconds": 0.4, "changed": True}
START = {"answered_at": 103.5, "seconds": 2.5, "changed": True}
FAILURE = {"task": "Start", "reason": "The hub exited."}


def old_hub_at(moment: float, by: str = "the rescue") -> dict[str, Any]:
    outcome = {"ended": "old", "by": by, "answered_at": moment}
    if by == "the guard":
        outcome["reason"] = "nothing was heard of the run for 16 s"
    return {"changed": True, "outcome": outcome}


@pytest.mark.parametrize(
    ("results", "plan", "failure", "outcome", "downtime"),
    [
        ({"stop": STOP, "start": START}, PLAN, {}, "upgraded", 3.5),
        (
            {
                "stop": STOP,
                "roll back": {"version": "3.1.1", "answered_at": 102.5},
                "accept": {"outcome": {"ended": "old"}},
            },
            {},
            {},
            "rolled back",
            2.5,
        ),
        # The clock of the host was set back while the hub was down.
        ({"stop": STOP, "start": {**START, "answered_at": -3496.5}}, PLAN, {}, "upgraded", None),
        ({"find": {"seconds": 1.0}}, {**PLAN, "action": "nothing"}, {}, "unchanged", 0.0),
        ({"find": {"failed": True}}, {}, FAILURE, "failed", 0.0),
        (
            {"stop": STOP, "start": {"failed": True}, "restore": old_hub_at(110.0)},
            PLAN,
            FAILURE,
            "restored",
            10.0,
        ),
        (
            {"stop": STOP, "start": START, "restore": old_hub_at(112.0)},
            PLAN,
            FAILURE,
            "restored",
            12.0,
        ),
        (
            {"stop": STOP, "start": {"failed": True}, "restore": {"failed": True}},
            PLAN,
            FAILURE,
            "failed",
            None,
        ),
    ],
)
def test_how_a_run_ended(
    results: dict[str, Any],
    plan: dict[str, Any],
    failure: dict[str, Any],
    outcome: str,
    downtime: float | None,
) -> None:
    report = compose(results, DEPLOYMENT, plan, "", failure)
    assert (report["outcome"], report["downtime_seconds"]) == (outcome, downtime)


def test_a_hub_that_could_not_be_put_back_is_told_with_the_command_that_does_it() -> None:
    results: dict[str, Any] = {
        "stop": STOP,
        "start": {"failed": True},
        "restore": {"failed": True, "msg": "No space."},
    }
    report = compose(results, DEPLOYMENT, PLAN, "/recovery/1", FAILURE)
    assert report["conclusion"].startswith(
        "The hub is down, and kept down, because it could not be put back either: No space."
    )
    assert report["conclusion"].endswith("-a 'state=restored path=/recovery/1'")


def test_a_run_that_touched_nothing_has_nothing_to_put_back() -> None:
    results: dict[str, Any] = {
        "backup": {"failed": True},
        "stop": {},
        "restore": {"failed": True, "msg": "No space."},
    }
    report = compose(results, DEPLOYMENT, PLAN, "", FAILURE)
    assert report["conclusion"] == (
        "Nothing was changed. That this run is over could not be recorded: No space. "
        "Fix that and run the playbook again: it says so then."
    )


def test_users_environments_that_could_not_be_put_back_are_no_outage() -> None:
    results: dict[str, Any] = {"stop": {"skipped": True}, "restore": {"failed": True, "msg": "No space."}}
    report = compose(results, DEPLOYMENT, PLAN, "/recovery/1", FAILURE)
    assert report["conclusion"].startswith("The users' environments could not be put back either: No space. ")


@pytest.mark.parametrize(
    ("results", "plan", "failure", "conclusion"),
    [
        ({"stop": STOP, "start": START}, PLAN, {}, "JupyterHub 4.1.6 has become 6.1.1."),
        ({}, {**PLAN, "action": "nothing"}, {}, "JupyterHub 4.1.6 was left as it is."),
        ({"find": {"failed": True}}, {}, FAILURE, "Nothing was changed."),
        (
            {"stop": STOP, "roll back": {"version": "3.1.1"}, "accept": {"outcome": {"ended": "old"}}},
            {},
            {},
            "JupyterHub 4.1.6 has been taken back to 3.1.1.",
        ),
        ({"stop": {"skipped": True, "changed": False}}, PLAN, FAILURE, "Nothing was changed."),
        ({"restore": {"outcome": {"ended": "unchanged"}}}, PLAN, FAILURE, "Nothing was changed."),
        (
            {"stop": STOP, "start": START, "accept": {"outcome": {"ended": "new"}}},
            PLAN,
            FAILURE,
            "JupyterHub 4.1.6 has become 6.1.1.",
        ),
        (
            {"stop": STOP, "restore": old_hub_at(700.0, by="the guard")},
            PLAN,
            FAILURE,
            "JupyterHub 4.1.6 serves again as before. The guard on the host has seen to that: "
            "nothing was heard of the run for 16 s. What this run did afterwards came too late. "
            "What the attempt left is in /recovery/1/replaced.",
        ),
        (
            {"stop": STOP, "restore": old_hub_at(103.5)},
            PLAN,
            FAILURE,
            "JupyterHub 4.1.6 serves again as before. What the attempt left is in /recovery/1/replaced.",
        ),
    ],
)
def test_the_conclusion_says_what_the_hub_is_like_now(
    results: dict[str, Any], plan: dict[str, Any], failure: dict[str, Any], conclusion: str
) -> None:
    assert compose(results, DEPLOYMENT, plan, "/recovery/1", failure)["conclusion"] == conclusion


def test_phases_that_were_reached_stand_in_their_order() -> None:
    results: dict[str, Any] = {
        "start": START,
        "stop": STOP,
        "plan": {},
        "migrate": {"skipped": True, "changed": False},
    }
    report = compose(results, DEPLOYMENT, PLAN, "/point", {})
    assert report["phases"] == [
        {"name": "stop", "seconds": 0.4, "result": "changed"},
        {"name": "start", "seconds": 2.5, "result": "changed"},
    ]
    assert report["backup"] == "/point"


def test_each_warning_is_told_once() -> None:
    plan = {
        **PLAN,
        "findings": [{"severity": "warning", "found": "in place"}, {"severity": "note", "found": "x"}],
    }
    report = compose({"verify": {"errors": ["deprecated", "slow"]}}, DEPLOYMENT, plan, "", {})
    assert report["warnings"] == ["deprecated", "in place", "slow"]


def test_a_check_does_not_say_that_anything_was_done() -> None:
    report = compose({"stop": {"changed": True}}, DEPLOYMENT, PLAN, "/recovery", {}, check=True)
    assert report["check"]
    assert report["conclusion"] == "Nothing was changed: JupyterHub 4.1.6 would become 6.1.1."
