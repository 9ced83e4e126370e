from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.audit import (
    PACKAGES_AUDITED,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import (
    NOTHING,
    ROLLBACK,
    Plan,
    outline,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.journal import Phase, Run
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict

from tests.healthy_hub import deployment
from tests.plans import move_to, plan_to

DEPLOYMENT = deployment(config__warnings=["deprecated"])
PLAN = plan_to("6.1.1")
MOVED = move_to("postgresql://hub:***@db/hub")
BACK = outline(ROLLBACK, "4.1.6", "3.1.1")
STOP = Phase("stop", 0.4, "changed", {"stopped_at": 100.0})
START = Phase("start", 2.5, "changed", {"answered_at": 103.5})
NOT_STARTED = Phase("start", 2.5, "failed", message="The hub exited.")
NOT_RESTORED = Phase("restore", 1.0, "failed", message="No space.")
FAILURE = {"task": "Start", "reason": "The hub exited."}
NEW: journal.Outcome = {"ended": "new", "by": "the upgrade", "reason": ""}
UNCHANGED: journal.Outcome = {"ended": "unchanged", "by": "the rescue", "reason": "The hub exited."}


def old_hub_at(moment: float, by: str = "the rescue") -> journal.Outcome:
    reason = "the run had no heartbeat for 16 s" if by == "the guard" else "The hub exited."
    return {"ended": "old", "by": by, "answered_at": moment, "reason": reason, "task": "Start"}


def a_run(*phases: Phase, stands: str = journal.OUTAGE, outcome: Any = None, plan: Plan = PLAN) -> Run:
    return Run(
        id="1",
        user="ada",
        controller="laptop",
        process="",
        command="ansible-playbook",
        started="2026-11-21T10:00:00+00:00",
        boot="",
        begun_at=0.0,
        confirm_timeout=600,
        deployment=DEPLOYMENT,
        plan=plan,
        recovery_point="/recovery/1",
        phase=stands,
        phases=list(phases),
        outcome=outcome or journal.Outcome(),
    )


def report_of(run: Run, failure: dict[str, str] | None = None) -> dict[str, Any]:
    return report.compose(report.of_run(run, failure))


def report_without_run(
    plan: Plan | None, failure: dict[str, str], *phases: Phase, check: bool = False
) -> dict[str, Any]:
    """The report where no run has begun."""
    return report.compose(report.Story(DEPLOYMENT, plan, list(phases), failure, check))


@pytest.mark.parametrize(
    ("run", "failure", "outcome", "downtime"),
    [
        (a_run(STOP, START, stands=journal.ACCEPTED, outcome=NEW, plan=MOVED), {}, "moved", 3.5),
        (a_run(STOP, START, stands=journal.ACCEPTED, outcome=NEW), {}, "upgraded", 3.5),
        (
            a_run(
                STOP,
                Phase("restore", 2.0, "changed", {"version": "3.1.1", "answered_at": 102.5}),
                stands=journal.ACCEPTED,
                outcome={"ended": "old", "by": "the rollback", "reason": ""},
                plan=BACK,
            ),
            {},
            "rolled back",
            2.5,
        ),
        # The clock of the host was set back while the hub was down.
        (
            a_run(
                STOP,
                Phase("start", 2.5, "changed", {"answered_at": -3496.5}),
                stands=journal.ACCEPTED,
                outcome=NEW,
            ),
            {},
            "upgraded",
            None,
        ),
        (
            a_run(STOP, NOT_STARTED, stands=journal.RESTORED, outcome=old_hub_at(110.0)),
            FAILURE,
            "restored",
            10.0,
        ),
        (a_run(STOP, START, stands=journal.RESTORED, outcome=old_hub_at(112.0)), {}, "restored", 12.0),
        (a_run(STOP, NOT_STARTED, NOT_RESTORED, stands=journal.RESTORING), FAILURE, "failed", None),
        (a_run(stands=journal.ENDED, outcome=UNCHANGED), FAILURE, "failed", 0.0),
        (a_run(STOP), {}, "under way", None),
        # The acceptance counts, whatever fails after it.
        (a_run(STOP, START, stands=journal.ACCEPTED, outcome=NEW), FAILURE, "upgraded", 3.5),
    ],
)
def test_how_a_run_ended(run: Run, failure: dict[str, str], outcome: str, downtime: float | None) -> None:
    report_ = report_of(run, failure)
    assert (report_["outcome"], report_["downtime_seconds"]) == (outcome, downtime)


def test_a_run_that_never_began_has_its_report_as_well() -> None:
    found = Phase("find", 1.0, "ok")
    nothing = report_without_run(replace(PLAN, action=NOTHING), {}, found)
    assert (nothing["outcome"], nothing["downtime_seconds"]) == ("unchanged", 0.0)
    assert nothing["conclusion"] == "JupyterHub 4.1.6 was left as it is."
    assert nothing["phases"] == [{"name": "find", "seconds": 1.0, "result": "ok", "began": None}]
    refused = report_without_run(PLAN, FAILURE, found)
    assert (refused["outcome"], refused["conclusion"]) == ("failed", "Nothing was changed.")
    assert refused["failure"] == FAILURE
    assert report_without_run(None, FAILURE)["to_version"] is None


def test_a_hub_that_could_not_be_restored_is_reported_with_the_command_that_does_it() -> None:
    conclusion = report_of(a_run(STOP, NOT_STARTED, NOT_RESTORED, stands=journal.RESTORING), FAILURE)[
        "conclusion"
    ]
    assert conclusion.startswith(
        "The hub is down, and kept down, because it could not be restored either: No space."
    )
    assert conclusion.endswith("-a 'state=restored path=/recovery/1'")


def test_a_run_that_changed_nothing_has_nothing_to_restore() -> None:
    why = {**FAILURE, "restore": "No space."}
    assert report_of(a_run(stands=journal.ARMED), why)["conclusion"] == (
        "Nothing was changed. That this run is over could not be recorded: No space. "
        "Fix that and run the playbook again, which records it."
    )


def test_users_environments_that_could_not_be_restored_are_no_outage() -> None:
    conclusion = report_of(a_run(NOT_RESTORED, stands=journal.RESTORING), FAILURE)["conclusion"]
    assert conclusion.startswith("The users' environments could not be restored either: No space. ")


@pytest.mark.parametrize(
    ("run", "conclusion"),
    [
        (a_run(STOP, START, stands=journal.ACCEPTED, outcome=NEW), "JupyterHub 4.1.6 has become 6.1.1."),
        (
            a_run(
                STOP,
                Phase("restore", 2.0, "changed", {"version": "3.1.1"}),
                stands=journal.ACCEPTED,
                outcome={"ended": "old", "by": "the rollback"},
                plan=BACK,
            ),
            "JupyterHub 4.1.6 has been rolled back to 3.1.1.",
        ),
        (a_run(stands=journal.ENDED, outcome=UNCHANGED), "Nothing was changed."),
        (
            a_run(STOP, stands=journal.RESTORED, outcome=old_hub_at(700.0, by="the guard")),
            "JupyterHub 4.1.6 serves again as before. The guard on the host restored it: "
            "the run had no heartbeat for 16 s. The later steps of this run came too late. "
            "Files of the failed attempt are in /recovery/1/replaced.",
        ),
        (
            a_run(STOP, stands=journal.RESTORED, outcome=old_hub_at(103.5)),
            "JupyterHub 4.1.6 serves again as before. "
            "Files of the failed attempt are in /recovery/1/replaced.",
        ),
    ],
)
def test_the_conclusion_says_what_the_hub_is_like_now(run: Run, conclusion: str) -> None:
    assert report_of(run)["conclusion"] == conclusion


def test_phases_stand_in_the_order_in_which_they_ended() -> None:
    made = Phase("backup", 1.0, "changed", {"path": "/second"})
    report_ = report_of(
        a_run(made, STOP, Phase("migrate", 0.1, "changed"), Phase("switch", 0.0, "changed"), START)
    )
    assert [phase["name"] for phase in report_["phases"]] == ["backup", "stop", "migrate", "switch", "start"]
    assert report_["backup"] == "/second"


def test_each_warning_is_reported_once() -> None:
    found = (Finding("kept", "warning", "in place", "", ""), Finding("known", "note", "x", "", ""))
    verify = Phase("verify", 1.0, "ok", warnings=["deprecated", "slow"])
    assert report_of(a_run(verify, plan=replace(PLAN, findings=found)))["warnings"] == [
        "deprecated",
        "in place",
        "slow",
    ]


def test_what_the_audit_has_found_is_in_the_report() -> None:
    audited = PACKAGES_AUDITED.found("142 packages looked up. None has a known vulnerability.")
    rehearsed = Phase("rehearse", 9.0, "ok", {"findings": [to_dict(audited)]})
    found = report_of(a_run(rehearsed, STOP, START, stands=journal.ACCEPTED, outcome=NEW))
    assert found["audit"] == audited.found
    assert f"Audit: {audited.found}" in report.lines(found, "hub1")
    assert report_of(a_run(STOP))["audit"] is None


def test_a_new_hub_without_its_first_backup_is_a_warning_and_no_failure() -> None:
    failed = Phase(report.FIRST_BACKUP, 1.0, "failed", message="The database is locked.")
    found = report_of(a_run(STOP, START, failed, stands=journal.ACCEPTED, outcome=NEW))
    assert (found["outcome"], found["failure"], found["first_backup"]) == ("upgraded", None, None)
    assert found["warnings"] == [
        "deprecated",
        "There is no backup of the new hub, which serves: The database is locked. Run backup.yml.",
    ]


def test_a_check_does_not_say_that_anything_was_done() -> None:
    checked = report_without_run(PLAN, {}, check=True)
    assert checked["check"]
    assert checked["conclusion"] == "Nothing was changed: JupyterHub 4.1.6 would become 6.1.1."
    assert report.lines(checked, "hub1")[0].startswith("hub1: JupyterHub 4.1.6 -> 6.1.1, checked, no outage")


def test_a_person_reads_the_verdict_first() -> None:
    rehearsal = Phase("rehearse", 9.0, "ok", {"expected_outage_seconds": 4.2})
    backup = Phase(report.FIRST_BACKUP, 5.0, "changed", {"path": "/recovery/2"})
    run = a_run(rehearsal, STOP, START, backup, stands=journal.ACCEPTED, outcome=NEW)
    assert report.lines(report_of(run), "hub1", "/runs/1/report.json") == [
        "hub1: JupyterHub 4.1.6 -> 6.1.1, upgraded, outage 3.5 s (about 4 s expected), 1 warning",
        "Warning: deprecated",
        "Seconds: rehearse 9.0, stop 0.4, start 2.5, first backup 5.0",
        "Recovery point: /recovery/1",
        "First backup, its restore tested: /recovery/2",
        "Report: /runs/1/report.json",
    ]


def test_a_move_says_where_the_database_is() -> None:
    made = report_of(a_run(STOP, START, stands=journal.ACCEPTED, outcome=NEW, plan=MOVED))
    assert report.lines(made, "hub1")[:2] == [
        "hub1: JupyterHub 4.1.6, moved, outage 3.5 s, 1 warning",
        "The database of JupyterHub 4.1.6 has been moved to postgresql://hub:***@db/hub.",
    ]
    checked = report_without_run(MOVED, {}, check=True)
    assert (checked["outcome"], checked["conclusion"]) == (
        "moved",
        "Nothing was changed: the database of JupyterHub 4.1.6 would be moved to "
        "postgresql://hub:***@db/hub.",
    )
