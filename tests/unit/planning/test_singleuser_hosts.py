"""Other hosts of single-user servers: whose they are, and what a plan makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.filter.hub_urls import hub_urls
from ansible_collections.hubops.jupyterhub.plugins.filter.plan_without import plan_without
from ansible_collections.hubops.jupyterhub.plugins.filter.singleuser_hosts import singleuser_hosts
from ansible_collections.hubops.jupyterhub.plugins.filter.singleuser_hosts_ended import ended_hosts
from ansible_collections.hubops.jupyterhub.plugins.filter.singleuser_hosts_found import found_hosts
from ansible_collections.hubops.jupyterhub.plugins.filter.singleuser_hosts_judged import judged
from ansible_collections.hubops.jupyterhub.plugins.filter.singleuser_hosts_unable import unable
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.facts import EnvironmentFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import drift
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.found_host import FoundHost
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict

from tests import REPOSITORY
from tests.healthy_hub import GIBIBYTE, TARGET, deployment, host, upgraded

PATH, PYTHON = "/opt/jupyter", "/opt/jupyter/bin/python"
PACKAGES = {"jupyterhub": "5.4.6", "jupyterlab": "4.2.0"}
NODE = FoundHost(
    name="node1",
    environments=(EnvironmentFacts(PATH, "venv", PYTHON, "3.11.2", "5.4.6", PACKAGES),),
    user="root",
    installed={PATH: PACKAGES},
    free_bytes={"/opt": 9 * GIBIBYTE},
    environment_bytes={PATH: GIBIBYTE},
    python_versions={PYTHON: "3.11.2"},
)
AWAY = FoundHost("node2", "It cannot be reached: no route to host")


def planned(*found: FoundHost, **policy: Any) -> Plan:
    return make_plan(deployment(), TARGET, host(), Policy(**policy), found)


def blockers(plan: Plan) -> list[tuple[str, str]]:
    return [(finding.id, finding.found) for finding in plan.blockers]


def test_environments_of_other_hosts_are_planned_as_those_of_the_hubs_own() -> None:
    plan = planned(NODE)
    assert blockers(plan) == []
    [other] = plan.singleuser_hosts
    [entry] = other.environments
    assert (other.host, entry.role, entry.strategy) == ("node1", "user", "copy")
    assert entry.staged_path == "/opt/jupyter.staged-6.1.1"
    staged = plan.steps.index("Stage jupyterhub==6.1.1 in /opt/jupyter.staged-6.1.1 on node1.")
    switched = plan.steps.index("Exchange /opt/jupyter with the staged one on node1.")
    stopped = next(number for number, step in enumerate(plan.steps) if step.startswith("Stop "))
    assert staged < switched < stopped


def test_a_lagging_environment_of_another_host_alone_needs_no_outage() -> None:
    plan = make_plan(upgraded(), TARGET, host(), Policy(), [NODE])
    assert (plan.action, plan.outage, plan.environments) == ("upgrade", False, ())
    mismatches = [finding.found for finding in plan.findings if finding.id == "version-mismatch"]
    assert mismatches == ["On node1: /opt/jupyter has jupyterhub 5.4.6, the hub 6.1.1."]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            replace(NODE, free_bytes={"/opt": GIBIBYTE}),
            ("no-space", "On node1: /opt has 1024 MiB free, but the upgrade needs 1424 MiB there."),
        ),
        (
            replace(NODE, not_writable=("/opt",), user="ada"),
            ("not-writable", "On node1: /opt is not writable for ada."),
        ),
        (
            replace(NODE, python_versions={PYTHON: ""}),
            ("interpreter-gone", "On node1: /opt/jupyter/bin/python is not there or does not run."),
        ),
    ],
)
def test_what_forbids_it_says_on_which_host(found: FoundHost, expected: tuple[str, str]) -> None:
    assert blockers(planned(found)) == [expected]


def test_hosts_that_cannot_follow_are_named_and_the_others_go_on() -> None:
    broken = replace(NODE, name="node3", python_versions={PYTHON: ""})
    plan = planned(NODE, AWAY, broken, environment_failures="report")
    assert blockers(plan) == []
    assert [other.host for other in plan.singleuser_hosts] == ["node1"]
    assert [each.path for each in plan.left_out] == ["node2", "/opt/jupyter on node3"]
    # Nobody knows whose it is: that is no failure of an environment.
    lost = planned(
        FoundHost("node3", "It belongs to no hub.", without_hub=True), environment_failures="report"
    )
    assert [finding.id for finding in lost.blockers] == ["singleuser-host-without-hub"]


def test_a_review_covers_other_hosts() -> None:
    assert drift.changes(planned(NODE), planned(NODE)) == []
    changed = drift.changes(planned(), planned(NODE))
    assert "/opt/jupyter on node1: jupyterhub==6.1.1 (copy), and not not upgraded." in changed
    assert drift.fingerprint(planned()) != drift.fingerprint(planned(NODE))


def test_a_host_belongs_to_the_hub_that_it_names_or_to_the_only_one() -> None:
    group, names = (
        ["n1", "n2", "n3"],
        {"n1": {}, "n2": {"jupyterhub_hub": "b"}, "n3": {"jupyterhub_hub": "x"}},
    )
    assert singleuser_hosts("a", group, ["a"], names) == ["n1"]
    assert singleuser_hosts("a", group, ["a", "b"], names) == []
    assert singleuser_hosts("b", group, ["a", "b"], names) == ["n2"]
    assert singleuser_hosts("", group, ["a", "b"], names) == ["n1", "n3"]


def test_a_host_without_an_answer_is_found_with_the_reason() -> None:
    results: list[dict[str, Any]] = [
        {"item": "n1", "found": to_dict(NODE)},
        {"item": "n2", "unreachable": True, "msg": "Task failed: no route to host"},
        {"item": "n3", "msg": "No environment of single-user servers was found"},
    ]
    found = found_hosts(results, ["n4"])
    assert [(each["name"], each["problem"][:31], each["without_hub"]) for each in found] == [
        ("node1", "", False),
        ("n2", "It cannot be reached: no route ", False),
        ("n3", "No environment of single-user s", False),
        ("n4", "It belongs to none of the hubs:", True),
    ]


def test_what_could_not_be_staged_is_left_out_of_the_plan() -> None:
    plan = to_dict(planned(NODE, replace(NODE, name="node2")))
    first, second = plan["singleuser_hosts"]
    begun = {"item": first, "ansible_job_id": "j1", "finished": 0}
    results = [
        begun,
        {"item": begun, "finished": 1, "environments": [{"path": PATH, "fault": "Its index is away."}]},
        {"item": second, "unreachable": True, "msg": "no route to host"},
    ]
    failed = unable(results)
    assert [each["line"] for each in failed] == [
        "On node1: /opt/jupyter cannot be upgraded: Its index is away.",
        "On node2: It cannot be reached: no route to host",
    ]
    left = from_dict(Plan, plan_without(plan, failed))
    assert (left.singleuser_hosts, len(left.environments)) == ((), 2)
    assert "/opt/jupyter on node1 stays as it is. Its index is away." in [
        each.found for each in left.findings
    ]


def test_how_a_run_ended_on_each_host() -> None:
    plan = to_dict(planned(NODE, AWAY, environment_failures="report"))
    results: list[dict[str, Any]] = [
        {"item": {"host": "node1"}, "phase": "kept", "changed": True},
        {"item": {"host": "node3"}, "unreachable": True, "msg": "Task failed: no route to host"},
    ]
    ended = ended_hosts(results, ["node1", "node2", "node3", "node4"], plan)
    assert [(each["host"], each["ended"], each["why"]) for each in ended] == [
        ("node1", "upgraded", ""),
        ("node2", "left out", "It cannot be reached: no route to host"),
        ("node3", "failed", "It cannot be reached: no route to host"),
        ("node4", "unchanged", ""),
    ]


def test_verdicts_on_other_hosts_name_the_host() -> None:
    match = [
        {"path": "/opt/a", "verdict": "warn", "reason": "The same major."},
        {"path": "/opt/b", "verdict": "fail", "reason": "Another major."},
    ]
    results: list[dict[str, Any]] = [
        {"item": "node1", "match": match},
        {"item": "node2", "msg": "No environment was found."},
    ]
    assert [(each["line"], each["fits"]) for each in judged(results)] == [
        ("On node1: /opt/a: The same major.", True),
        ("On node1: /opt/b: Another major.", False),
        ("On node2: No environment was found.", False),
    ]


def test_other_hosts_ask_the_hub_at_its_hosts_address() -> None:
    config = {"hub_api_url": "http://127.0.0.1:8081/hub/api", "public_url": "https://hub.example.org/"}
    assert hub_urls(config, "10.0.0.1") == [
        "http://10.0.0.1:8081/hub/api",
        "https://hub.example.org/hub/api",
        "http://127.0.0.1:8081/hub/api",
    ]


def test_a_host_of_servers_is_not_taken_for_a_hub(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.json"
    group: dict[str, Any] = {"jupyterhub_singleuser": {"hosts": {"node1": {}}}}
    inventory.write_text(json.dumps({"all": {"hosts": {"hub1": {}}, "children": group}}))
    playbooks = (REPOSITORY / "playbooks").glob("*.yml")
    own = [file for file in playbooks if "jupyterhub_hosts | default" in file.read_text()]
    assert len(own) >= 11
    listed = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--inventory", str(inventory), "--list-hosts", *map(str, own)),
        ],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (listed.count(" hub1\n") >= len(own), "node1" in listed) == (True, False), listed
