"""The host carries out an outage by itself: to the new hub, or back to the old one. A real hub."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import DATABASE_COPIES
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    first_backup,
    recovery_point,
    resumption,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import (
    guard,
    journal,
    outage_process,
    report,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.process_records import recorded_in
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import is_alive

from tests.hubs.module import run_module
from tests.hubs.real_hub import build, running_hub
from tests.hubs.recovery.staged_hub import ADA, NEW, OLD, Hub
from tests.testbed.releases import APP, DOES_NOT_START, MIGRATION_TO_5

STEPS = ["stop", "seal", "migrate", "switch", "start", "verify"]
#: Only at the hub's own database: a copy is migrated as ever.
MIGRATION_HANGS = """
import time
_upgrade = upgrade

def upgrade():
    if op.get_bind().engine.url.database == {path!r}:
        time.sleep(3600)
    _upgrade()
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("outage")
    place = folder / "environment"
    build(place, OLD)
    with running_hub(OLD, folder, place=place) as deployment:
        yield Hub(deployment, folder)


@pytest.fixture
def hub(shared: Hub) -> Iterator[Hub]:
    yield shared
    shared.make_old()


def test_the_host_upgrades_and_the_controller_accepts(hub: Hub) -> None:
    run_id = hub.arm()
    verified = hub.conduct(run_id)
    assert (verified.phase, hub.version()) == (journal.VERIFIED, NEW)
    taken = {phase.name: phase for phase in verified.phases}
    assert [name for name in taken if name in STEPS] == STEPS
    assert {taken[name].result for name in STEPS[:-1]} == {journal.CHANGED}
    assert taken["verify"].measured["sys_executable"].startswith(hub.entry.path)
    assert all(taken[name].seconds > 0 for name in STEPS)
    assert hub.conduct(run_id).phase == journal.VERIFIED, "it is carried out twice"
    outcome = rollback.accept(hub.folder, run_id)
    assert (outcome["ended"], outcome["by"], outcome["left"]) == ("new", "the upgrade", [])
    assert not state.guard_folder(hub.folder).exists()


def test_a_step_that_fails_is_followed_by_the_restore(hub: Hub) -> None:
    run_id = hub.arm(append={APP: DOES_NOT_START})
    with pytest.raises(HubError, match="The hub exited at its start"):
        hub.conduct(run_id)
    ended = hub.now()
    assert (ended.phase, ended.outcome["by"], ended.outcome["task"]) == (
        journal.RESTORED,
        "the host",
        "start",
    )
    assert hub.version() == OLD
    assert not hub.staged.exists()
    assert not state.guard_folder(hub.folder).exists()
    remembered = journal.failed_upgrade(hub.folder)
    assert remembered and remembered.run == run_id
    assert "The hub exited at its start" in remembered.reason


def test_the_guard_restores_the_old_hub_when_the_program_is_killed(hub: Hub) -> None:
    run_id = hub.arm()
    record = state.guard_folder(hub.folder) / "outage.process"
    begun = hub.begin_to_conduct(run_id, watch=300)
    hub.wait_until(lambda run: run.doing == "verify")
    program = recorded_in(record)
    assert program
    os.kill(program, signal.SIGKILL)
    killed_at = time.monotonic()
    hub.wait_until(lambda run: run.phase == journal.RESTORING)
    assert time.monotonic() - killed_at < 10
    ended = hub.wait_until(lambda run: run.is_over)
    assert ended.outcome["by"] == "the guard"
    assert ended.outcome["reason"] == "the program that carried out its outage was ended"
    assert hub.version() == OLD
    assert os.waitpid(begun, 0)[1] == 0, "whoever waits for the outage is not told"


@pytest.mark.parametrize(
    ("unconfirmed", "phase", "version"),
    [(journal.KEEP, journal.ACCEPTED, NEW), (journal.RESTORE, journal.RESTORED, OLD)],
)
def test_a_verified_hub_that_nobody_accepts(hub: Hub, unconfirmed: str, phase: str, version: str) -> None:
    run_id = hub.arm(unconfirmed)
    hub.conduct(run_id)
    hub.fall_silent()
    ended = hub.wait_until(lambda run: run.is_over)
    assert (ended.phase, ended.outcome["by"], hub.version()) == (phase, "the guard", version)
    hub.wait_until(lambda run: not guard.is_active(hub.folder))
    if unconfirmed == journal.KEEP:
        assert rollback.accept(hub.folder, run_id)["by"] == "the guard", "a late controller is not told"
    else:
        with pytest.raises(HubError, match="came too late.*was ended by the guard"):
            rollback.accept(hub.folder, run_id)


@pytest.mark.parametrize(
    ("confirm_timeout", "migration_timeout", "by", "reason"),
    [
        (600, 3, "the host", "The prepared migration did not answer within 3 seconds."),
        # It may take an hour, while the database's files change.
        (5, 3600, "the guard", "the run had no heartbeat for"),
    ],
)
def test_a_migration_that_hangs_is_killed_and_followed_by_the_restore(
    hub: Hub, confirm_timeout: float, migration_timeout: float, by: str, reason: str
) -> None:
    run_id = hub.arm(confirm_timeout=confirm_timeout, append={MIGRATION_TO_5: MIGRATION_HANGS})
    migrating = migration.waiting_process(hub.folder)
    assert migrating
    with pytest.raises(HubError):
        hub.conduct(run_id, migration_timeout=migration_timeout)
    ended = hub.now()
    assert (ended.phase, ended.outcome["by"], hub.version()) == (journal.RESTORED, by, OLD)
    assert reason in ended.outcome["reason"]
    assert not is_alive(migrating)


def test_an_outage_that_nobody_watches_any_more_is_completed_where_that_is_asked_for(hub: Hub) -> None:
    """Without systemd a reboot leaves it so: neither program nor guard works."""
    run_id = hub.arm()
    begun = hub.begin_to_conduct(run_id, watch=300)
    hub.wait_until(lambda run: run.doing == "verify")
    for name in ("ready", "outage.process"):
        process = recorded_in(state.guard_folder(hub.folder) / name)
        assert process
        os.kill(process, signal.SIGKILL)
    os.waitpid(begun, 0)
    cut_off = hub.now()
    assert (cut_off.phase, cut_off.doing) == (journal.OUTAGE, "verify")
    found = resumption.resume(str(hub.base), hub.name, resumption.COMPLETE, run_id, ADA, check=False)
    assert found.run and found.run.continues == run_id
    assert found.messages[-1] == "It is completed now."
    verified = hub.conduct(found.run.id)
    assert (verified.phase, hub.version()) == (journal.VERIFIED, NEW)
    assert [phase.name for phase in verified.phases if phase.name in STEPS] == STEPS
    with pytest.raises(HubError, match="came after it"):
        rollback.accept(hub.folder, run_id)
    assert rollback.accept(hub.folder, found.run.id)["ended"] == "new"


def test_check_mode_begins_nothing(hub: Hub) -> None:
    run_id = hub.arm()
    before = hub.now()
    options = {
        "deployment": to_dict(before.deployment),
        "run": run_id,
        "state_folder": str(hub.base),
    }
    found = run_module("jupyterhub_outage", options, check=True)
    assert (found["failed"], found["changed"]) == (False, True)
    assert hub.now() == before
    assert not outage_process.is_running(hub.folder)
    assert hub.version() == OLD


def test_the_new_hub_is_backed_up_and_its_restore_is_tested(hub: Hub) -> None:
    run_id = hub.arm()
    hub.conduct(run_id)
    rollback.accept(hub.folder, run_id)

    def refusal(lock_timeout: float) -> str:
        assert first_backup.make(hub.folder, run_id, lock_timeout) is None
        assert max(hub.point.parent.iterdir()) == hub.point, "a recovery point is left"
        failed = hub.now().phases[-1]
        assert (failed.name, failed.result) == ("first backup", journal.FAILED)
        return failed.message

    with sqlite3.connect(hub.database, isolation_level=None) as other:
        other.execute("begin exclusive")
        assert "is locked by another process" in refusal(lock_timeout=0.1)
        other.execute("rollback")
    (orm,) = Path(hub.entry.path).glob("lib/python*/site-packages/jupyterhub/orm.py")
    code = orm.read_text()
    orm.write_text(f"{code}\nnew_session_factory = None\n")
    assert f"{hub.entry.path} cannot serve again: TypeError" in refusal(lock_timeout=10)
    orm.write_text(code)

    first = first_backup.make(hub.folder, run_id, lock_timeout=10)
    assert first and first_backup.make(hub.folder, run_id, lock_timeout=10) == first, "it is made twice"
    run = hub.now()
    assert (run.phase, run.phases[-1].measured["path"]) == (journal.ACCEPTED, str(first))
    told = report.lines(report.compose(report.of_run(run)), "hub1")
    assert f"First backup, its restore tested: {first}" in told
    copies = [*hub.point.glob("*.sqlite"), *first.glob("*.sqlite")]
    assert len(copies) == DATABASE_COPIES, "more space than the preflight has asked for"

    recovery_point.restore(hub.point, 60, 60)
    assert hub.version() == OLD
    recovery_point.restore(first, 60, 60)
    assert hub.version() == NEW
