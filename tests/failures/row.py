"""One row of the table: a hub with a failure, planned and, where the plan reports nothing, upgraded."""

from __future__ import annotations

import json
import re
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.testbed import Hub, PlaybookResult, Probe, staged
from tests.testbed.judge import Before
from tests.testbed.staged import TARGET

PREFLIGHT, REHEARSAL, RESTORE, MISSED = "preflight", "rehearsal", "restore", "missed"
PROBE_SECONDS = 0.1
#: The role of the last task before the first failure, as Ansible prints it.
FAILED_IN = re.compile(
    r"^TASK \[(?:hubops\.jupyterhub\.)?(\w+) : [^\]]*\][^\n]*\n(?:(?!^TASK ).)*?^fatal: ", re.M | re.S
)
#: What `plan.yml` does before it has a new environment to rehearse.
READING = {"hub_facts", "hub_preflight"}


@dataclass(frozen=True)
class Failure:
    """What is wrong with a hub or with the release that is wanted, and who is to notice."""

    failure: str
    #: Brings it about on a healthy hub, and returns the variables that ask for the upgrade.
    apply: Callable[[Hub], dict[str, Any]]
    caught_by: str
    finding: str = ""
    kind: str = "systemd"
    #: Variables of the plan and of the upgrade.
    variables: dict[str, Any] = field(default_factory=dict)
    #: Whether CI has it.
    selected: bool = False


@dataclass
class Result:
    """A line of ``build/failures.json``; ``wrong`` is empty when all is as promised."""

    failure: str
    caught_by: str
    finding: str
    outage_seconds: float
    wrong: list[str]


def judged(failure: Failure, log: Path) -> Result:
    """Run one row to its end, whatever happens; write the output into ``log`` when something is wrong."""
    said: list[str] = []
    result = Result(failure.failure, MISSED, "", 0.0, [])
    tag = staged.staged_image() if failure.kind == staged.KIND else ""
    with Hub.start(failure.kind, tag=tag) as hub:
        try:
            _run(failure, hub, result, said)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            result.wrong.append(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")
    if result.wrong:
        log.write_text("\n\n".join([*result.wrong, *said]))
    return result


def _run(failure: Failure, hub: Hub, result: Result, said: list[str]) -> None:
    wanted = {"jupyterhub_version": TARGET, **failure.apply(hub), **failure.variables}
    if failure.kind == staged.KIND and "jupyterhub_wheels" not in wanted:
        staged.lay_out(hub)
    before = Before.of(hub)
    with Probe(hub, PROBE_SECONDS) as probe:
        result.caught_by, result.finding, planned = _planned(hub, wanted, failure.finding)
        said.append(planned.stdout)
        if result.caught_by == MISSED:
            upgraded = hub.playbook("upgrade.yml", wanted, expect_rc=None)
            said.append(upgraded.stdout)
            if upgraded.report.get("outcome") == "restored":
                result.caught_by = RESTORE
    result.outage_seconds = probe.outage_seconds()
    if result.caught_by != failure.caught_by or result.finding != failure.finding:
        result.wrong.append(
            f"caught by {result.caught_by} {result.finding}, not by {failure.caught_by} {failure.finding}"
        )
    if result.caught_by != MISSED:
        result.wrong += before.differences(hub)
    if result.caught_by in (PREFLIGHT, REHEARSAL) and result.outage_seconds:
        result.wrong.append("the hub was away while nothing was done but planning")


def _planned(hub: Hub, wanted: dict[str, Any], finding: str) -> tuple[str, str, PlaybookResult]:
    """The part that catches it before the outage, and the finding; MISSED where none does."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "plan.json")
        planned = hub.playbook("plan.yml", {**wanted, "jupyterhub_plan": str(file)}, expect_rc=None)
        if planned.rc:
            role = FAILED_IN.search(planned.stdout)
            by = PREFLIGHT if role and role[1] in READING else REHEARSAL
            # A blocker is printed as "id: what was found, why it matters, how to fix it".
            return by, finding if re.search(rf"\b{finding}: ", planned.stdout) else "", planned
        findings = {each["id"] for each in json.loads(file.read_text())[hub.container]["findings"]}
    if finding not in findings:
        return MISSED, "", planned
    return REHEARSAL if finding.startswith("rehearsal-") else PREFLIGHT, finding, planned
