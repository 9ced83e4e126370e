"""A redeployment as a report: the data, a page for people, Markdown for a ticket."""

from __future__ import annotations

import json

from ..pages.blocks import BAD, CALM, GOOD, Block, Code, Facts, Figures, Table, Text
from ..pages.document import Document, Section
from ..planning.findings.finding import BLOCKER
from ..planning.plan_page import findings_blocks
from ..shapes import to_dict
from .redeployment import Plan, PlannedStep

BACK = "ansible-playbook hubops.jupyterhub.qhub_rollback -i INVENTORY -e qhub_accept_loss=true"


def contents(plan: Plan) -> dict[str, str]:
    """What each file has, by its suffix."""
    page = document(plan)
    return {
        ".json": json.dumps(to_dict(plan), indent=2) + "\n",
        ".html": page.html(),
        ".md": page.markdown(),
    }


def document(plan: Plan) -> Document:
    """Where it stands: what has failed, the steps with their evidence, what to know before the first."""
    steps = (*plan.steps, *plan.rollback)
    failed = [step for step in steps if step.failed]
    return Document(
        subject=f"QHub at {plan.domain}",
        title=f"QHub {plan.from_version} \N{RIGHTWARDS ARROW} {plan.to_version}",
        verdict=_verdict(plan),
        tone=BAD if failed or _blockers(plan) else GOOD if _is_done(plan.steps) else CALM,
        sections=(
            Section("In short", _summary(plan)),
            Section("What failed", tuple(block for step in failed for block in _failure(step))),
            Section("To go back", _way_back(plan)),
            Section("Steps", (_table(plan.steps),)),
            Section("Rollback", (_table(plan.rollback),) if plan.rollback else ()),
            Section("Evidence", tuple(block for step in steps for block in _evidence(step))),
            Section("Findings", findings_blocks(plan.findings)),
        ),
        made="hubops.jupyterhub",
    )


def _is_done(steps: tuple[PlannedStep, ...]) -> bool:
    return all(step.state == "done" for step in steps)


def _blockers(plan: Plan) -> int:
    return sum(finding.severity == BLOCKER for finding in plan.findings)


def _verdict(plan: Plan) -> str:
    if plan.rollback:
        return "The old site has its domain again." if _is_done(plan.rollback) else "A rollback is under way."
    if not plan.begun:
        return "Nothing was begun."
    upcoming = [step.title for step in plan.steps if step.state in ("next", "again")]
    return f"Next: {upcoming[0]}." if upcoming else "All steps are done."


def _summary(plan: Plan) -> tuple[Block, ...]:
    done = sum(step.state == "done" for step in plan.steps)
    figures = ((f"{done} of {len(plan.steps)}", "steps done"), (str(_blockers(plan)), "blockers"))
    return (
        Figures(figures),
        Facts(
            (
                ("Site", f"https://{plan.domain}"),
                ("Provider", plan.provider),
                ("From", plan.from_version),
                ("To", plan.to_version),
                ("Began", next((step.at for step in plan.steps if step.at), "")),
                ("Callback URL of the new site", plan.callback_url),
            )
        ),
    )


def _failure(step: PlannedStep) -> tuple[Block, ...]:
    return Text(f"In the step {step.name}:"), Code(step.failed)


def _way_back(plan: Plan) -> tuple[Block, ...]:
    """None where there is no second site, or the old one may be gone."""
    steps = {step.name: step for step in plan.steps}
    possible = plan.begun and "rename_old_site" in steps and not plan.destruction_begun
    if not possible or plan.rollback:
        return ()
    return Code(BACK), Text("What users have written on the new site is not on the old one.")


def _table(steps: tuple[PlannedStep, ...]) -> Table:
    rows = tuple((step.title, step.state, step.at, step.by, step.why) for step in steps)
    return Table(("step", "state", "at", "by", "why again"), rows)


def _evidence(step: PlannedStep) -> tuple[Block, ...]:
    rows = tuple((name.replace("_", " "), text) for name, text in (step.evidence or {}).items() if text)
    return (Text(f"{step.title}:"), Facts(rows)) if rows else ()
