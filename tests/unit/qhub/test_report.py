"""What a report of a redeployment tells whom it is sent to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.pages.blocks import BAD, CALM, GOOD
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.redeployment import Plan, PlannedStep

AT = "2026-11-20T21:15:00+00:00"
DONE = PlannedStep("rename_old_site", "Move the old site", "done", AT, "root", {"old_domain": "<old>"})
NEXT = PlannedStep("deploy", "Deploy the new site", "next")
PLAN = Plan("qhub.example.org", "aws", "0.3.14", "0.4.5", 2, True, (DONE, NEXT), (), "")
BROKEN = replace(NEXT, failed=f"failed at {AT} by ada: no credentials")


@pytest.mark.parametrize(
    ("plan", "tone", "shown", "hidden"),
    [
        (PLAN, CALM, ("1 of 2", "Next: Deploy the new site.", AT, report.BACK), ("What failed",)),
        (replace(PLAN, steps=(DONE, BROKEN)), BAD, ("What failed", "by ada: no credentials"), ()),
        (replace(PLAN, steps=(DONE,)), GOOD, ("All steps are done.",), ()),
        (replace(PLAN, begun=False), CALM, ("Nothing was begun.",), (report.BACK,)),
        (replace(PLAN, destruction_begun=AT), CALM, (), (report.BACK,)),
        (replace(PLAN, rollback=(replace(DONE, evidence={"lost": "all"}),)), CALM, ("lost",), (report.BACK,)),
        # Where there is no second site there is no way back to it.
        (replace(PLAN, steps=(NEXT,)), CALM, ("0 of 1",), (report.BACK,)),
    ],
)
def test_it_says_where_it_stands(
    plan: Plan, tone: str, shown: tuple[str, ...], hidden: tuple[str, ...]
) -> None:
    files = report.contents(plan)
    assert report.document(plan).tone == tone
    for suffix in (".html", ".md"):
        assert [each for each in shown if each not in files[suffix]] == []
        assert [each for each in hidden if each in files[suffix]] == []
    assert "&lt;old&gt;" in files[".html"] or DONE not in plan.steps
