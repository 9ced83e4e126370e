"""Runs as their records have them, with all that a report tells, for tests of the report and its pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PackageChange
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.journal import Phase, Run

from tests.healthy_hub import HUB, USERS, deployment
from tests.plans import plan_to, planned_environment

#: Saturday, 21 November 2026, 22:00 UTC.
STARTED = 1795298400.0
POINT = "/var/lib/hubops/jupyterhub/recovery/20261121T220101Z-4.1.6-6.1.1"
ROWS = {"users": 201, "api_tokens": 57, "spawners": 201, "groups": 3, "servers": 0, "roles": 5}
CHECKS = {"login": "passed", "server": "passed", "kernel": "passed: 1 + 1 is 2, single-user 6.1.1"}
FINDINGS = (
    Finding(
        "kill-mode", "warning", "jupyterhub.service has KillMode=control-group.", "It ends all.", "Set it."
    ),
    Finding(
        "advisories-closed", "note", "The upgrade closes CVE-2026-33709.", "It is published.", "Nothing."
    ),
)
PACKAGES = (
    PackageChange("jupyterhub", "4.1.6", "6.1.1"),
    PackageChange("oauthenticator", "16.2.1", "17.4.0"),
    PackageChange("pycurl", "7.45.3", None),
    *(PackageChange(f"package-{number}", "1.0", f"2.{number}.0.post20261101") for number in range(12)),
)


def plan() -> Plan:
    """A plan that was staged and rehearsed."""
    hub = planned_environment(HUB, "6.1.1", jupyterhub="4.1.6")  # type: ignore[arg-type]
    users = replace(planned_environment(USERS, "6.1.1", jupyterhub="4.1.6"), role="user")  # type: ignore[arg-type]
    return replace(
        plan_to("6.1.1", hub, users),
        findings=FINDINGS,
        steps=("Stage jupyterhub==6.1.1.", "Stop jupyterhub.service and keep it down. The outage begins."),
        packages={HUB: PACKAGES, USERS: PACKAGES[:1]},
        expected_outage_seconds=4.2,
        rehearsal_seconds={"stop": 0.4, "copy": 0.1, "migrate": 0.4, "start": 3.3, "spawn": 5.0},
        bytes_needed={"/opt": 600_000_000},
    )


def phases_until_stop() -> list[Phase]:
    """Those while the old hub serves; no host has seen the first two begin."""
    changes = [{"name": each.name, "from": each.from_, "to": each.to} for each in PACKAGES]
    staged = {"environments": [{"path": HUB, "changes": changes}, {"path": USERS, "changes": changes[:1]}]}
    return [
        Phase("find", 1.1, "ok"),
        Phase("plan", 1.3, "ok"),
        Phase("stage", 31.4, "changed", staged, began=STARTED + 3),
        Phase("rehearse", 14.2, "ok", {"expected_outage_seconds": 4.2}, began=STARTED + 36),
        Phase("backup", 1.9, "changed", {"path": POINT}, began=STARTED + 52),
        Phase("arm", 3.4, "changed", began=STARTED + 55),
        Phase("stop", 0.4, "changed", {"stopped_at": STARTED + 60}, began=STARTED + 60),
        Phase(
            "seal",
            0.1,
            "changed",
            {"database": {"rows": ROWS, "revision": "0eee8c825d24"}},
            began=STARTED + 60.4,
        ),
    ]


def upgraded() -> Run:
    """A run that went well, but for what the new hub's log says."""
    seen = {"deprecated": ["JupyterHub.extra_handlers is deprecated."], "unrecognized": [], "errors": []}
    migrated = {
        "from_revision": "0eee8c825d24",
        "to_revision": "f460b0348206",
        "rows_before": ROWS,
        "rows_after": {**ROWS, "roles": 6, "shares": 0},
    }
    phases = [
        *phases_until_stop(),
        Phase("migrate", 0.5, "changed", migrated, began=STARTED + 60.5),
        Phase("switch", 0.02, "changed", began=STARTED + 61),
        Phase("start", 3.4, "changed", {"answered_at": STARTED + 64.5}, began=STARTED + 61.1),
        Phase(
            "verify",
            31.0,
            "ok",
            {**seen, "access": [], "checks": CHECKS},
            seen["deprecated"],
            began=STARTED + 64.6,
        ),
        Phase("accept", 0.0, "changed"),
        Phase(
            report.FIRST_BACKUP,
            4.0,
            "changed",
            {"path": POINT.replace("20261121T220101Z-4.1.6", "20261121T220140Z")},
            began=STARTED + 97,
        ),
    ]
    return _run(phases, journal.ACCEPTED, {"ended": "new", "by": "the upgrade", "reason": ""})


def restored() -> Run:
    """A run whose new hub did not start, so that the old one serves again."""
    reason = (
        "The hub exited at its start.\nThe end of its log:\n[C 2026-11-21 22:01:02.000 JupyterHub app:1] No."
    )
    phases = [
        *phases_until_stop(),
        Phase("start", 2.0, "failed", message=reason, began=STARTED + 60.5),
        Phase("restore", 5.0, "changed", {"version": "4.1.6"}, began=STARTED + 62.6),
    ]
    outcome = {
        "ended": "old",
        "by": "the host",
        "reason": reason,
        "task": "start",
        "answered_at": STARTED + 67,
        "version": "4.1.6",
    }
    return _run(phases, journal.RESTORED, outcome)


def _run(phases: list[Phase], stands: str, outcome: Any) -> Run:
    return Run(
        id="20261121T220000.123456Z",
        user="ada",
        controller="laptop",
        process="",
        command="ansible-playbook hubops.jupyterhub.upgrade -i inventory.yml",
        started="2026-11-21T22:00:00+00:00",
        boot="",
        begun_at=0.0,
        confirm_timeout=600,
        deployment=deployment(hub_environment__packages={"jupyterhub": "4.1.6", "oauthenticator": "16.2.1"}),
        plan=plan(),
        recovery_point=POINT,
        phase=stands,
        phases=phases,
        outcome={"at": "2026-11-21T22:01:42+00:00", **outcome},
    )


def report_of(run: Run) -> dict[str, Any]:
    """Its report."""
    return report.compose(report.of_run(run))
