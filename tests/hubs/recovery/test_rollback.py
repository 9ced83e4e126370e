"""A run that is cut off, and restores of its hub: by the guard, by the next run, manually. Real hubs."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    arming,
    recovery_point,
    resumption,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import guard, journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.healthy_hub import database_file
from tests.hubs.real_hub import running_hub
from tests.hubs.recovery.watching import refused, watching
from tests.plans import plan_to

ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "ansible-playbook upgrade.yml"}
PATIENCE = 60


class Cut:
    """A run on a real hub, in any phase."""

    def __init__(self, deployment: Deployment, base: Path, plan: Plan | None = None) -> None:
        self.deployment, self.base = deployment, base
        self.folder = state.state_folder(deployment.name, str(base))
        self.database = database_file(deployment)
        self.run = journal.begin(self.folder, ADA, 600, deployment=deployment, plan=plan)
        self.point = recovery_point.create(deployment, None, str(base), [], 10)

    def arm(self) -> None:
        arming.arm(self.folder, self.run.id, self.point)

    def stop(self) -> None:
        self.step("stop", lambda: vars(lifecycle.stop(self.deployment, str(self.base), "a test", 30)))
        self.step("seal", lambda: {"database": recovery_point.seal(self.point, 10)})

    def half_migrate(self) -> None:
        self.step("migrate", self.spoil)

    def spoil(self) -> dict[str, Any]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.executescript("drop table users; update alembic_version set version_num = 'half';")
        return {"changed": True}

    def step(self, name: str, action: Callable[[], dict[str, Any]]) -> None:
        journal.step(self.folder, self.run.id, name, action)

    def fall_silent(self) -> None:
        """Let the run's heartbeat be too old, from now on."""
        run = self.now()
        run.confirm_timeout = -1
        journal.write(self.folder, run)

    def now(self) -> journal.Run:
        found = journal.read(self.folder)
        assert found
        return found

    def wait_for(self, *phases: str) -> journal.Run:
        deadline = time.monotonic() + PATIENCE
        while (found := self.now()).phase not in phases:
            assert time.monotonic() < deadline, f"{found.phase} {found.outcome}"
            time.sleep(0.05)
        return found

    def users(self) -> int:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("select count(*) from users").fetchone()[0])

    def guard(self, verb: str) -> subprocess.CompletedProcess[str]:
        """Run the command of a message on the host."""
        typed = shlex.split(guard.command(self.folder, verb))
        return subprocess.run(typed, capture_output=True, text=True, timeout=PATIENCE)

    def serves_as_before(self) -> bool:
        answer = api.version(self.deployment.config.hub_api_url)
        return answer == "4.1.6" and self.users() == 5

    def left(self) -> set[str]:
        """What is in the state folder and beside the database."""
        found = {path.name for path in (*self.folder.iterdir(), *self.database.parent.iterdir())}
        return {name for name in found if not name.endswith((".log", "-journal"))}


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[Callable[..., Cut]]:
    """Makes runs on one hub of version 4.1.6."""
    home = tmp_path / "hub"
    home.mkdir()
    with running_hub("4.1.6", home) as deployment:
        yield lambda **more: Cut(deployment, tmp_path / "state", **more)


def test_no_guard_is_armed_for_a_hub_that_could_not_be_verified_again(cut: Callable[..., Cut]) -> None:
    run = cut(plan=plan_to("6.1.1"))
    found = run.now()
    config = replace(found.deployment.config, public_url="http://127.0.0.1:9/")
    journal.write(run.folder, replace(found, deployment=replace(found.deployment, config=config)))
    with pytest.raises(HubError) as refused:
        run.arm()
    assert refused.value.message.startswith(
        "The hub could not be verified after a rollback, for it fails today: The hub does not answer "
    )
    assert run.now().phase == journal.PREPARING
    assert not state.guard_folder(run.folder).exists()
    assert run.serves_as_before()


def test_the_guard_restores_the_old_hub_without_a_heartbeat(cut: Callable[[], Cut]) -> None:
    run = cut()
    before = run.left()
    run.arm()
    assert "jupyterhub.sqlite.hubops-reserve" in run.left()
    run.stop()
    run.half_migrate()
    run.fall_silent()
    ended = run.wait_for(journal.RESTORED, journal.STUCK)
    assert (ended.outcome["ended"], ended.outcome["by"]) == ("old", "the guard")
    assert ended.outcome["reason"].startswith("the run had no heartbeat for")
    assert (ended.outcome["version"], ended.outcome["verified"], ended.outcome["left"]) == ("4.1.6", "", [])
    assert run.serves_as_before()
    assert run.left() - before <= {"runs", "restored.json"}
    kept = json.loads((run.folder / "runs" / ended.id / "run.json").read_text())
    assert kept["outcome"] == ended.outcome
    with pytest.raises(HubError, match="came too late.*was ended by the guard"):
        run.step("switch", lambda: {"changed": True})
    with pytest.raises(HubError, match="came too late"):
        rollback.accept(run.folder, run.run.id)


def test_the_guard_leaves_when_the_new_hub_is_accepted(cut: Callable[[], Cut]) -> None:
    run = cut()
    before = run.left()
    run.arm()
    run.stop()
    run.step("start", lambda: vars(lifecycle.start(run.deployment, str(run.base), "4.1.6", 60)))
    outcome = rollback.accept(run.folder, run.run.id)
    assert (outcome["ended"], outcome["left"]) == ("new", [])
    assert run.left() - before <= {"runs"}
    assert not guard.is_active(run.folder)


def test_a_run_that_changed_nothing_is_cancelled(cut: Callable[[], Cut]) -> None:
    run = cut()
    pid = service_of(run.deployment.service).main_pid()
    run.arm()
    run.fall_silent()
    ended = run.wait_for(journal.ENDED)
    assert ended.outcome["ended"] == "unchanged"
    assert service_of(run.deployment.service).main_pid() == pid, "the hub was restarted for nothing"
    assert run.serves_as_before()


def test_no_outage_when_the_restore_would_fail(cut: Callable[[], Cut]) -> None:
    run = cut()
    with (run.point / "database.sqlite").open("r+b") as file:
        file.write(b"X")
    with pytest.raises(HubError, match=r"database.sqlite has changed since it was written"):
        run.arm()
    assert not guard.is_active(run.folder)
    with pytest.raises(HubError, match="No guard watches this run"):
        run.stop()
    assert run.serves_as_before()


def test_a_task_that_hangs_does_not_keep_the_guard_away(cut: Callable[[], Cut]) -> None:
    run = cut()
    run.arm()
    run.stop()
    hanging = os.fork()
    if hanging == 0:
        with contextlib.suppress(BaseException), journal.lock(run.folder):
            run.spoil()
            run.fall_silent()
            signal.pause()
        os._exit(0)
    ended = run.wait_for(journal.RESTORED, journal.STUCK)
    assert os.waitstatus_to_exitcode(os.waitpid(hanging, 0)[1]) == -signal.SIGKILL
    assert ended.outcome["ended"] == "old"
    assert run.serves_as_before()


def test_after_three_failures_only_a_manual_restore_is_left(cut: Callable[[], Cut]) -> None:
    run = cut()
    run.arm()
    run.stop()
    run.half_migrate()
    for copy in run.point.glob("*.sqlite"):
        copy.rename(copy.with_suffix(".hidden"))
    run.fall_silent()
    stuck = run.wait_for(journal.STUCK)
    assert stuck.failures == rollback.MOST_FAILURES
    assert "sealed.sqlite is missing" in stuck.outcome["reason"]
    assert service_of(run.deployment.service).state() == "stopped"
    assert state.hold_file(run.folder).exists()

    for copy in run.point.glob("*.hidden"):
        copy.rename(copy.with_suffix(".sqlite"))
    typed = run.guard("restore")
    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert "was ended by hand" in typed.stdout
    assert run.serves_as_before()
    assert not state.hold_file(run.folder).exists()


def resume(run: Cut, how: str = "restore", take_over: str = "") -> resumption.Resumption:
    return resumption.resume(str(run.base), "", how, take_over, {**ADA, "user": "bob"}, False)


def test_the_next_run_leaves_a_live_one_alone(cut: Callable[[], Cut]) -> None:
    run = cut()
    with pytest.raises(journal.RunUnderWay, match=r"ada on laptop"):
        resume(run)
    assert not run.now().is_over


def test_the_next_run_restores_the_old_hub(cut: Callable[[], Cut]) -> None:
    run = cut()
    run.arm()
    run.stop()
    run.half_migrate()
    found = resume(run, take_over=run.run.id)
    assert found.changed and found.run is None
    assert "has done 'migrate'. It was cut off." in found.messages[0]
    assert (
        "was ended by the next run" in found.messages[1] and "the old hub serves again" in found.messages[1]
    )
    assert run.serves_as_before()
    assert resume(run).messages == [], "it is reported once"


def test_the_next_run_continues_it(cut: Callable[[], Cut]) -> None:
    run = cut()
    run.arm()
    run.stop()
    found = resume(run, "complete", take_over=run.run.id)
    assert found.run and found.run.continues == run.run.id
    assert guard.is_active(run.folder)
    with pytest.raises(HubError, match="is not under way any more"):
        run.step("migrate", run.spoil)
    taken = journal.step(run.folder, found.run.id, "stop", lambda: pytest.fail("stopped twice"))
    assert taken["changed"] is False and taken["log_mark"] == (run.run.taken("stop") or taken)["log_mark"]
    rollback.roll_back(run.folder, "the rescue", "", found.run.id)
    assert run.serves_as_before()


def test_the_next_run_reports_what_the_guard_did(cut: Callable[[], Cut]) -> None:
    run = cut()
    run.arm()
    run.stop()
    run.fall_silent()
    run.wait_for(journal.RESTORED)
    assert "was ended by the guard" in resume(run).messages[0]


def test_a_hand_that_restores_ends_the_run(cut: Callable[[], Cut]) -> None:
    run = cut()
    run.arm()
    run.stop()
    run.half_migrate()
    restored = rollback.restore(run.point, 60, "")
    assert restored["by"] == "hand"
    assert run.now().phase == journal.RESTORED
    assert run.serves_as_before()


def test_the_address_is_held_while_a_run_rolls_back(cut: Callable[..., Cut]) -> None:
    run = cut()
    run.arm()
    config = Path(str(run.deployment.config.file))
    with config.open("a") as file:
        file.write("# Written since.\n")
    second = recovery_point.create(run.deployment, None, str(run.base), [], 10, "rollback")
    replaced = rollback.Replaced(run.deployment, second, stop_timeout=60, lock_timeout=10)
    port = urllib.parse.urlsplit(run.deployment.config.public_url).port or 80
    with watching(port, "/hub/login") as samples:
        restored = rollback.restore(run.point, 60, run.run.id, replaced)
    assert str(config) in restored["restored"] and run.serves_as_before()
    assert "Written since" not in config.read_text()
    rollback.accept(run.folder, run.run.id)
    assert refused(samples) == []
    assert {sample.status for sample in samples} - {0} <= {200, 503}
    assert "JupyterHub is being restored" in next(each.body for each in samples if each.status == 503)
    assert [phase.name for phase in run.now().phases][-4:] == ["stop", "seal", "restore", "accept"]
