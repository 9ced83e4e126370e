"""A plan as people read it, and as the module documents it."""

from __future__ import annotations

from dataclasses import fields, replace

import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.changes import (
    CHANGED,
    REMOVED,
    ObjectChange,
    ValueChange,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import NOTHING, UPGRADE, Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import (
    Database,
    Release,
    Server,
    Volume,
)
from ansible_collections.hubops.jupyterhub.plugins.modules import z2jh_plan

RELEASE = Release(
    name="jhub",
    namespace="hubs",
    revision=4,
    state="deployed",
    deployed_revision=4,
    chart_version="3.3.8",
    jupyterhub_version="4.1.6",
    database=Database("sqlite-pvc", "", "hub-db-dir"),
    volumes=(Volume("ada", "", "claim-ada", "10Gi", "standard", "pvc-1", "Bound"),),
    kubernetes_version="v1.34.4",
)
PLAN = Plan(
    action=UPGRADE,
    release=RELEASE,
    to_chart_version="4.4.0",
    to_jupyterhub_version="5.5.0",
    findings=(
        Finding("homes-move", "blocker", "Homes move.", "They are empty.", "Keep them.", accept=True),
        Finding("chart-changes-4", "note", "Crosses 4.0.", "Much.", "Read."),
    ),
    objects=(
        ObjectChange(
            "Deployment", "hub", CHANGED, '{\n  "image": "hub:3"\n}\n', '{\n  "image": "hub:4"\n}\n'
        ),
        ObjectChange("Role", "old", REMOVED, "{}\n", ""),
    ),
    values=(ValueChange("hub.image.tag", '"3.3.8"', '"4.4.0"'),),
)


def test_one_line_says_what_becomes_of_which_release() -> None:
    assert report.verdict(PLAN) == (
        "jhub in hubs: chart 3.3.8 (JupyterHub 4.1.6) -> 4.4.0 (JupyterHub 5.5.0), 1 blocker, 0 warnings"
    )
    assert report.verdict(replace(PLAN, action=NOTHING)).endswith("already, nothing to do")


def test_a_reviewer_gets_findings_volumes_values_and_objects() -> None:
    page = report.markdown(PLAN)
    for line in (
        "- **blocker homes-move**: Homes move. They are empty.",
        "  Fix: Keep them. Or accept it: `homes-move`.",
        "| ada |  | claim-ada | 10Gi | pvc-1 |",
        '| `hub.image.tag` | `"3.3.8"` | `"4.4.0"` |',
        '-  "image": "hub:3"',
        '+  "image": "hub:4"',
        "# Role/old is removed",
    ):
        assert line in page.splitlines()


def test_what_becomes_of_running_servers_is_in_the_plan() -> None:
    running = replace(RELEASE, servers=(Server("ada", "", "jupyter-ada"),))
    for policy, said in (("keep", "kept"), ("refuse", "refused"), ("stop", "stopped before the upgrade")):
        plan = replace(PLAN, release=running, running_servers=policy)
        assert f"1 running server ({said}), 1 claim of 1 user" in report.summary(plan)
    assert "0 running servers, 1 claim of 1 user" in report.summary(PLAN)


def test_the_module_documents_the_plan_field_by_field() -> None:
    contains = yaml.safe_load(z2jh_plan.RETURN)["plan"]["contains"]
    assert list(contains) == [field.name for field in fields(Plan)]
