"""The steps of an outage, their time limits, and what becomes of a run whose program fails or dies."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    guard_program,
    outage,
    outage_steps,
    resumption,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.outage_steps import (
    Outage,
    Settings,
    Step,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, outage_process
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.healthy_hub import deployment
from tests.plans import move_to, plan_to, planned_environment

ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "upgrade.yml"}
COPY = planned_environment(Path("/opt/jupyterhub"), "6.1.1")
IN_PLACE = planned_environment(Path("/opt/users"), "6.1.1", role="user", strategy="in_place")
PLAN = plan_to("6.1.1", COPY)
ALL = ["stop", "seal", "migrate", "switch", "start", "verify"]


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (PLAN, ALL),
        (plan_to("6.1.1", COPY, IN_PLACE), [*ALL[:2], "upgrade in place", *ALL[2:]]),
        (replace(PLAN, outage=False), ["switch", "verify"]),
        (move_to("postgresql://db/hub"), ["stop", "seal", "move", "start", "verify"]),
        (replace(PLAN, running_servers="keep"), ["servers", *ALL]),
        (replace(PLAN, running_servers="wait"), ["servers", *ALL, "restart servers"]),
    ],
)
def test_the_steps_that_a_plan_needs_in_their_order(plan: Plan, names: list[str]) -> None:
    assert [step.name for step in outage_steps.STEPS if step.is_needed(plan)] == names


def test_a_step_may_take_longer_than_what_it_waits_for() -> None:
    """It then fails with its own message, which says more."""
    settings = Settings(
        stop_timeout=1000,
        start_timeout=1000,
        lock_timeout=1000,
        migration_timeout=1000,
        watch=1000,
        servers_deadline=1000,
        servers_timeout=1000,
    )
    waits = {"stop": 2000, "seal": 1000, "migrate": 1000, "move": 1000, "start": 1000, "verify": 4000}
    waits.update({"servers": 2000, "restart servers": 1000})
    limits = {step.name: step.limit(settings) for step in outage_steps.STEPS}
    assert {name: limits[name] > seconds for name, seconds in waits.items()} == dict.fromkeys(waits, True)


def test_what_is_set_reaches_the_host() -> None:
    settings = Settings(watch=3.5, allow=("newer",), variables={"http_proxy": "http://proxy:3128"})
    assert from_dict(Settings, json.loads(json.dumps(to_dict(settings)))) == settings


def armed(folder: Path, **changes: Any) -> journal.Run:
    run = journal.begin(folder, ADA, 600, deployment=deployment(), plan=PLAN)
    for name, value in {"phase": journal.ARMED, **changes}.items():
        setattr(run, name, value)
    state.make_private(state.guard_folder(folder))
    journal.write(folder, run)
    return run


def now(folder: Path) -> journal.Run:
    run = journal.read(folder)
    assert run
    return run


def hang(_outage: Outage) -> dict[str, Any]:
    with contextlib.suppress(Exception):
        time.sleep(30)
    return {"changed": True}


def test_a_step_that_hangs_is_ended_and_fails(tmp_path: Path) -> None:
    run = armed(tmp_path)
    step = Step("stop", "", hang, lambda settings: 0.1)
    began = time.monotonic()
    with pytest.raises(HubError, match=r"The step 'stop' did not end within 0 s\."):
        outage.take(step, Outage(tmp_path, run, PLAN, Settings()))
    assert time.monotonic() - began < 10
    assert [(phase.name, phase.result) for phase in now(tmp_path).phases] == [("stop", journal.FAILED)]


def fails(error: Exception) -> Step:
    def take(_outage: Outage) -> dict[str, Any]:
        raise error

    return Step("migrate", "", take, lambda settings: 10)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HubError("No.", "Do."), "No. Do."),
        (KeyError("users"), "The step 'migrate' failed: KeyError: 'users'"),
    ],
)
def test_a_step_that_fails_is_followed_by_the_restore_and_by_no_other_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    taken: list[str] = []

    def stop(_outage: Outage) -> dict[str, Any]:
        taken.append("stop")
        return {"changed": True}

    def roll_back(_folder: Path, *arguments: str) -> None:
        taken.append(arguments[0])

    run = armed(tmp_path)
    last = Step("switch", "", stop, lambda settings: 10)
    monkeypatch.setattr(outage, "STEPS", (Step("stop", "", stop, lambda settings: 10), fails(error), last))
    monkeypatch.setattr(rollback, "roll_back", roll_back)
    (state.guard_folder(tmp_path) / "outage.json").write_text(json.dumps(to_dict(Settings())))
    assert outage.carry_out(tmp_path) == reason
    assert taken == ["stop", "the host"]
    assert now(tmp_path).id == run.id


def dead_program(folder: Path) -> None:
    """Have the program of the outage be a process that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    (state.guard_folder(folder) / "outage.process").write_text(f"{ended.pid} 1")


@pytest.mark.parametrize(
    ("phase", "is_dead"),
    [
        (journal.ARMED, False),
        (journal.OUTAGE, True),
        (journal.RESTORING, True),
        (journal.VERIFIED, False),
    ],
)
def test_a_run_is_dead_with_its_program_while_the_hub_is_in_between(
    tmp_path: Path, phase: str, is_dead: bool
) -> None:
    run = armed(tmp_path, phase=phase)
    assert guard_program._why_dead(tmp_path, run) == "", "a task of the controller carries it out"
    outage_process.report_begun(tmp_path)
    assert guard_program._why_dead(tmp_path, run) == ""
    dead_program(tmp_path)
    assert bool(guard_program._why_dead(tmp_path, run)) == is_dead
    with journal.lock(tmp_path):
        assert guard_program._why_dead(tmp_path, run) == "", "another process restores it"
    outage_process.report_done(tmp_path)
    assert guard_program._why_dead(tmp_path, run) == ""


def test_who_waits_is_told_when_neither_program_nor_guard_works(tmp_path: Path) -> None:
    run = armed(tmp_path)
    dead_program(tmp_path)
    with pytest.raises(HubError, match="^Neither the program of the outage nor the guard works"):
        outage.conduct(tmp_path, run.id, Settings())


@pytest.mark.parametrize(
    ("unconfirmed", "keep", "serves", "phase"),
    [
        (journal.KEEP, False, True, journal.ACCEPTED),
        (journal.KEEP, False, False, "rolled back"),
        (journal.RESTORE, False, True, "rolled back"),
        (journal.RESTORE, True, True, journal.ACCEPTED),
    ],
)
def test_what_becomes_of_a_verified_hub_whose_controller_is_gone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unconfirmed: str,
    keep: bool,
    serves: bool,
    phase: str,
) -> None:
    def start(*_: Any) -> lifecycle.Started:
        if not serves:
            raise HubError("It does not start.")
        return lifecycle.Started(changed=False, answered_at=0, version="6.1.1", main_pid=1)

    def roll_back(folder: Path, _by: str, _reason: str) -> None:
        run = now(folder)
        run.phase = "rolled back"
        journal.write(folder, run)

    monkeypatch.setattr(lifecycle, "start", start)
    monkeypatch.setattr(rollback, "roll_back", roll_back)
    monkeypatch.setattr(rollback, "_removals", lambda *_: [])
    run = armed(tmp_path, phase=journal.VERIFIED, unconfirmed=unconfirmed)
    rollback.settle(tmp_path, "the guard", "", keep)
    assert now(tmp_path).phase == phase
    if phase == journal.ACCEPTED:
        assert rollback.accept(tmp_path, run.id)["by"] == "the guard", "a late controller is not told"
        assert now(tmp_path).reported


def test_no_other_run_takes_over_while_the_host_carries_out_an_outage(tmp_path: Path) -> None:
    run = armed(tmp_path / "hub", phase=journal.OUTAGE)
    outage_process.report_begun(tmp_path / "hub")
    with pytest.raises(
        journal.RunUnderWay, match="The host carries out its outage: wait until that has ended"
    ):
        resumption.resume(str(tmp_path), "", "restore", run.id, ADA, check=False)
