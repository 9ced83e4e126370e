"""The program of the outage is killed before and in each step: the guard restores the old hub, exactly."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.process_records import recorded_in
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import family

from tests.faults.host import HELD_MAIN
from tests.hubs.real_hub import build, running_hub
from tests.hubs.recovery.test_outage import OLD, PATIENCE, STEPS, Hub


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("killed")
    place = folder / "environment"
    build(place, OLD)
    with running_hub(OLD, folder, place=place) as deployment:
        yield Hub(deployment, folder)


@pytest.mark.parametrize("what", ["before", "in", "workers"])
@pytest.mark.parametrize("step", STEPS)
def test_killed(shared: Hub, step: str, what: str) -> None:
    hub = shared
    if (step, what) == ("stop", "before"):
        return
    run_id = hub.arm()
    before = fingerprint(hub)
    guard = state.guard_folder(hub.folder)
    (guard / "__main__.py").write_text(HELD_MAIN)
    (guard / "hold").write_text(step)
    begun = hub.begin_to_conduct(run_id, watch=3)
    deadline = time.monotonic() + PATIENCE
    while not (guard / "held").exists() or (guard / "held").read_text() != step:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    program = recorded_in(guard / "outage.process")
    assert program
    if what == "before":
        os.kill(program, signal.SIGKILL)
    else:
        (guard / "hold").unlink()
        hub.wait_until(lambda run: run.doing == step or run.is_over)
        if what == "in":
            os.kill(program, signal.SIGKILL)
        else:
            deadline = time.monotonic() + 3
            killed: list[int] = []
            while not killed and time.monotonic() < deadline:
                for process in family(program):
                    if process.pid != program:
                        os.kill(process.pid, signal.SIGKILL)
                        killed.append(process.pid)
            print("killed workers", killed)
    began = time.monotonic()
    ended = hub.wait_until(lambda run: run.is_over or run.phase == journal.VERIFIED)
    print(
        step,
        what,
        round(time.monotonic() - began, 1),
        ended.phase,
        ended.outcome.get("by"),
        ended.outcome.get("reason"),
        ended.outcome.get("verified"),
    )
    os.waitpid(begun, 0)
    if ended.phase == journal.VERIFIED:
        assert what == "workers"
    else:
        assert (ended.outcome["ended"], hub.version()) in (("old", OLD), ("unchanged", OLD))
        assert fingerprint(hub) == before
        hub.wait_until(lambda run: not guard.exists() or False)
        print(sorted(p.name for p in hub.folder.iterdir()), ended.outcome["left"])
    hub.make_old()


def fingerprint(hub: Hub) -> dict[str, str]:
    found = {}
    place = Path(hub.entry.path)
    for path in sorted(place.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["beside"] = " ".join(
        sorted(
            p.name
            for p in place.parent.iterdir()
            if ".staged-" not in p.name
            and "-journal" not in p.name
            and "reserve" not in p.name
            and "rehearsal" not in p.name
        )
    )
    with sqlite3.connect(hub.database) as connection:
        found["database"] = "\n".join(
            line
            for line in connection.iterdump()
            if "last_activity" not in line and 'INSERT INTO "users"' not in line and "services" not in line
        )
    return found
