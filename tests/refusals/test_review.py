"""A plan that was reviewed is what is done; any other is refused before the outage."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.testbed import Hub, PlaybookResult, staged
from tests.testbed.judge import main_process
from tests.testbed.staged import TARGET

from .refusal import attempt, refusal

#: With Ansible's own callback, and nothing of it hidden.
MOST_LINES = 80


def test_what_was_reviewed_is_what_is_done(
    fresh_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = fresh_hub
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "1")
    process, fingerprint = main_process(hub), hub.fingerprint()
    reviewed, other = tmp_path / "plan.json", tmp_path / "other.json"
    staged.lay_out(hub)
    planned = hub.playbook("plan.yml", {"jupyterhub_version": TARGET, "jupyterhub_plan": str(reviewed)})
    agreed = handed_on(planned)
    assert (main_process(hub), hub.fingerprint()) == (process, fingerprint)
    assert not hub.exists(hub.layout.state_folder), "a plan has left something"

    plans = json.loads(reviewed.read_text())
    plan = plans[hub.container]
    assert {"name": "jupyterhub", "from": hub.layout.version, "to": TARGET} in plan["packages"][
        "/opt/user-env"
    ]
    assert plan["expected_outage_seconds"] > 0
    assert [finding for finding in plan["findings"] if finding["severity"] == "blocker"] == []

    # A difference from the review is reported at once, without a rehearsal.
    absent = tmp_path / "absent.json"
    assert f"There is no reviewed plan {absent}. Name the file" in refusal(hub, jupyterhub_plan=str(absent))
    other.write_text("{}")
    assert f"{other} has no plan for {hub.container}." in refusal(hub, jupyterhub_plan=str(other))
    other.write_text(json.dumps({hub.container: {**plan, "to_version": "6.1.0"}}))
    said = refusal(hub, jupyterhub_plan=str(other))
    assert f"This is not the plan that was reviewed, {other}" in said
    assert f"The upgrade is from {hub.layout.version} to {TARGET}" in said
    assert not hub.exists(hub.layout.state_folder), "staging or rehearsal has begun"

    # It was reviewed when there was one more blocker.
    finding = {
        "id": "no-space",
        "severity": "blocker",
        "found": "/opt has 12 MiB free.",
        "why": "",
        "fix": "",
    }
    other.write_text(json.dumps({hub.container: {**plan, "findings": [*plan["findings"], finding]}}))
    said = attempt(hub, jupyterhub_plan=str(other))
    assert (main_process(hub), hub.fingerprint()) == (process, fingerprint)
    assert "Not found any more: blocker no-space: /opt has 12 MiB free." in said

    # As in a workflow of AWX, where no file of one job reaches the next: the fingerprint is all that it has.
    staged.lay_out(hub)
    said = attempt(hub, **agreed, jupyterhub_running_servers="stop")
    assert (main_process(hub), hub.fingerprint()) == (process, fingerprint)
    assert re.match(
        r"This is not the plan that was reviewed: its fingerprint is \w{12}, and not "
        rf"{agreed['jupyterhub_plan_fingerprint'][hub.container][:12]}\. Run plan\.yml again",
        said,
    )

    staged.lay_out(hub)
    wanted = {"jupyterhub_version": TARGET, "jupyterhub_plan": str(reviewed), **agreed}
    upgraded = hub.playbook("upgrade.yml", wanted)
    hub.wait_until_answers(TARGET)
    assert_is_read(upgraded, hub)
    under_way = rf"^{hub.container} \| [A-Z][a-z]+ing .+ \(\d+ s\)$"
    assert re.search(under_way, upgraded.stdout, re.MULTILINE), "it does not show what it does"
    assert hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET}, check=True).changed == 0


def handed_on(planned: PlaybookResult) -> dict[str, dict[str, str]]:
    """What ``set_stats`` hands to the next node of a workflow, as Ansible shows it."""
    found = re.search(r"^\s*RUN: (\{.*\})$", planned.stdout, re.MULTILINE)
    assert found, planned.stdout
    return dict(json.loads(found[1]))


def assert_is_read(upgraded: PlaybookResult, hub: Hub) -> None:
    """A good upgrade is at most 80 lines, the verdict of the plan and that of the report among them."""
    lines = upgraded.stdout.splitlines()
    assert len(lines) <= MOST_LINES, upgraded.stdout
    versions = re.escape(f"{hub.container}: JupyterHub {hub.layout.version} -> {TARGET}")
    verdicts = [line for line in lines if re.match(versions, line)]
    planned, rehearsed, reported = verdicts
    assert re.fullmatch(rf"{versions}, 0 blockers, \d+ warnings?", planned)
    assert re.fullmatch(rf"{versions}, outage about \d+ s, 0 blockers, \d+ warnings?", rehearsed)
    assert re.fullmatch(
        rf"{versions}, upgraded, outage [\d.]+ s \(about \d+ s expected\), \d+ warnings?", reported
    )
    path = next(line.partition(": ")[2] for line in lines if line.startswith("Report: "))
    assert json.loads(hub.read(path)) == upgraded.report
    names = [phase["name"] for phase in upgraded.report["phases"]]
    before = ["find", "plan", "stage", "rehearse", "backup", "prepare", "arm"]
    steps = ["servers", "stop", "seal", "migrate", "switch", "start", "verify"]
    assert names == [*before, *steps, "accept", "first backup"]
