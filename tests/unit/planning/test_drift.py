from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.drift import fingerprint
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.audit import (
    PACKAGES_AUDITED,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.server_images import (
    STALE_CONTAINERS,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.plans import changes as _changes

from tests.plans import plan_to, planned_environment

PLAN: dict[str, Any] = {
    **to_dict(plan_to("6.1.1", planned_environment(Path("/opt/jupyterhub"), "6.1.1"))),
    "packages": {"/opt/jupyterhub": [{"name": "jupyterhub", "from": "4.1.6", "to": "6.1.1"}]},
    "findings": [
        to_dict(Finding("room", "warning", "/opt has 512 MiB free.", "", "")),
        to_dict(Finding("option", "warning", "statsd_host is not known to JupyterHub 6.1.1.", "", "")),
    ],
    "expected_outage_seconds": 4.5,
}


def changes(reviewed: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return _changes(reviewed, from_dict(Plan, now))


def another(now: dict[str, Any], host: str = "hub1") -> list[str]:
    """Objections to a plan after another job has handed on the fingerprint of `PLAN`."""
    return plans.another({"hub1": fingerprint(from_dict(Plan, PLAN))}, host, from_dict(Plan, now))


THROUGH_5 = {
    "version": "5.4.6",
    "path": "/opt/jupyterhub",
    "kind": "venv",
    "staged_path": "/opt/jupyterhub.intermediate-5.4.6",
    "strategy": "intermediate",
    "python": "/opt/jupyterhub/bin/python",
    "requirements": ["jupyterhub==5.4.6"],
    "why": "in one step it fails",
    "source": "the rehearsal on this host",
}


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda plan: plan[key].clear()


def finding(**values: str) -> Callable[[dict[str, Any]], object]:
    return lambda plan: plan["findings"][1].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda plan: plan.update(to_version="6.1.0"),
            ["The upgrade is from 4.1.6 to 6.1.0, and not from 4.1.6 to 6.1.1."],
        ),
        (
            without("environments"),
            ["/opt/jupyterhub: not upgraded, and not jupyterhub==6.1.1 (copy)."],
        ),
        (
            lambda plan: plan["environments"][0].update(strategy="in_place"),
            ["/opt/jupyterhub: jupyterhub==6.1.1 (in_place), and not jupyterhub==6.1.1 (copy)."],
        ),
        (
            lambda plan: plan["intermediate_versions"].append(THROUGH_5),
            ["The database is migrated through JupyterHub 5.4.6, and not in one step."],
        ),
        (
            lambda plan: plan["packages"]["/opt/jupyterhub"].append(
                {"name": "tornado", "from": "6.4", "to": "6.5"}
            ),
            ["tornado in /opt/jupyterhub: 6.5, and not as it is."],
        ),
        (
            finding(found="allowed_users is not known to JupyterHub 6.1.1."),
            [
                "New since the review: warning option: allowed_users is not known to JupyterHub 6.1.1.",
                "Not found any more: warning option: statsd_host is not known to JupyterHub 6.1.1.",
            ],
        ),
        (
            finding(severity="blocker"),
            [
                "New since the review: blocker option: statsd_host is not known to JupyterHub 6.1.1.",
                "Not found any more: warning option: statsd_host is not known to JupyterHub 6.1.1.",
            ],
        ),
    ],
)
def test_what_was_not_reviewed_is_reported(
    change: Callable[[dict[str, Any]], object], said: list[str]
) -> None:
    now = copy.deepcopy(PLAN)
    change(now)
    assert changes(PLAN, now) == said
    assert [each.partition(" its")[0] for each in another(now)] == ["This is not the plan that was reviewed:"]


def test_what_becomes_known_of_the_same_packages_is_no_other_plan() -> None:
    now = copy.deepcopy(PLAN)
    now["findings"].append(to_dict(PACKAGES_AUDITED.found("Vulnerable: requests 2.30.0.")))
    assert changes(PLAN, now) == changes(now, PLAN) == another(now) == []


def test_containers_of_users_come_and_go_but_are_not_removed_without_a_review() -> None:
    now = copy.deepcopy(PLAN)
    now["findings"].append(to_dict(STALE_CONTAINERS.found("1 containers: jupyter-ada.")))
    now["stale_containers"] = "keep"
    assert changes(PLAN, now) == changes(now, PLAN) == []
    removing = {**now, "stale_containers": "remove"}
    assert changes(now, removing) == ["Users' containers that have an old image are removed, and not kept."]
    assert changes(removing, now) == []


def test_what_staging_and_rehearsal_may_add_is_not_missed_before_them() -> None:
    reviewed = {**PLAN, "intermediate_versions": [THROUGH_5]}
    early = {key: value for key, value in PLAN.items() if key != "packages"}
    early["findings"] = PLAN["findings"][:1]
    assert changes(reviewed, early) == []
    assert changes(reviewed, {**early, "packages": PLAN["packages"]}) == [
        "The database is migrated in one step, and not through JupyterHub 5.4.6.",
        "Not found any more: warning option: statsd_host is not known to JupyterHub 6.1.1.",
    ]


def test_a_plan_that_was_reviewed_without_its_packages_can_be_followed() -> None:
    """As with `jupyterhub_rehearse: false`, where only the upgrade stages."""
    reviewed = {key: value for key, value in PLAN.items() if key != "packages"}
    assert changes(reviewed, PLAN) == []


def test_what_neither_of_them_can_fix_is_reported_before_them() -> None:
    early = {key: value for key, value in PLAN.items() if key != "packages"}
    reviewed = {**PLAN, "to_version": "6.1.0", "findings": PLAN["findings"][1:]}
    assert changes(reviewed, {**early, "intermediate_versions": [THROUGH_5]}) == [
        "The upgrade is from 4.1.6 to 6.1.1, and not from 4.1.6 to 6.1.0.",
        "The database is migrated through JupyterHub 5.4.6, and not in one step.",
        "New since the review: warning room: /opt has 512 MiB free.",
    ]


def test_the_same_plan_may_find_less_disk_space_and_other_seconds() -> None:
    now = copy.deepcopy(PLAN)
    now["findings"][0]["found"] = "/opt has 498 MiB free."
    now["expected_outage_seconds"] = 5.1
    assert changes(PLAN, now) == another(now) == []


def test_a_reviewed_plan_of_another_version_of_the_collection_is_refused() -> None:
    reviewed = copy.deepcopy(PLAN)
    del reviewed["environments"][0]["requirements"]
    assert changes(reviewed, PLAN) == [
        "The plan that was reviewed cannot be read: Plan.environments[0] has no requirements. "
        "Another version of the collection made it."
    ]


def test_a_host_without_a_reviewed_plan_is_refused_and_any_plan_taken_where_none_was_handed_on() -> None:
    assert "No plan of hub2 was reviewed." in another(PLAN, "hub2")[0]
    assert plans.another({}, "hub1", from_dict(Plan, PLAN)) == []
