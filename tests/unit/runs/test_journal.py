"""One run at a time, and a record of what it did."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import birth
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import controller

from tests import REPOSITORY
from tests.healthy_hub import deployment

ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "ansible-playbook upgrade.yml"}


def begin(folder: Path, confirm_timeout: float = 600) -> journal.Run:
    return journal.begin(folder, ADA, confirm_timeout, deployment=deployment(), plan=None)


def armed(folder: Path, confirm_timeout: float = 600) -> journal.Run:
    """A run that may enter its outage."""
    run = begin(folder, confirm_timeout)
    run.phase = journal.ARMED
    journal.write(folder, run)
    return run


def done(folder: Path, run: journal.Run, name: str = "stop") -> dict[str, Any]:
    return journal.step(folder, run.id, name, lambda: {"changed": True, "by": os.getpid()})


def reboot(folder: Path, run: journal.Run) -> None:
    run.boot = "an earlier boot"
    journal.write(folder, run)


def test_a_second_run_is_refused_and_the_message_names_the_first(tmp_path: Path) -> None:
    run = begin(tmp_path / "hub")
    with pytest.raises(journal.RunUnderWay) as refused:
        begin(tmp_path / "hub")
    said = str(refused.value)
    assert f"{run.id} (ada on laptop, `ansible-playbook upgrade.yml`)" in said
    assert run.started in said
    assert f"jupyterhub_take_over: {run.id}" in said


def test_two_hubs_do_not_block_each_other(tmp_path: Path) -> None:
    begin(tmp_path / "one")
    begin(tmp_path / "two")


def begin_at(arguments: tuple[Path, float]) -> str:
    folder, moment = arguments
    while time.monotonic() < moment:
        pass
    try:
        return begin(folder).id
    except journal.RunUnderWay:
        return ""


def test_of_fifty_that_race_one_begins(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for number in range(50):
            folder = tmp_path / str(number)
            moment = time.monotonic() + 0.01
            begun = [run for run in pool.map(begin_at, [(folder, moment)] * 4, chunksize=1) if run]
            assert len(begun) == 1
            found = journal.read(folder)
            assert found and found.id == begun[0]


def test_only_root_reads_the_record_of_a_run(tmp_path: Path) -> None:
    begin(tmp_path / "hub")
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700
    assert state.run_file(tmp_path / "hub").stat().st_mode & 0o777 == 0o600


def test_a_step_is_taken_once(tmp_path: Path) -> None:
    run = armed(tmp_path)
    first = done(tmp_path, run)
    again = done(tmp_path, run)
    assert first == {"changed": True, "by": os.getpid()}
    assert again == {**first, "changed": False}
    found = journal.read(tmp_path)
    assert found and (found.phase, found.doing) == (journal.OUTAGE, "")
    [phase] = found.phases
    assert (phase.name, phase.result, phase.measured) == ("stop", "changed", first)
    assert phase.seconds >= 0


def test_a_step_that_fails_is_recorded_with_its_reason_and_may_be_taken_again(tmp_path: Path) -> None:
    run = armed(tmp_path)

    def fail() -> dict[str, Any]:
        raise HubError("The hub did not stop.", "")

    with pytest.raises(HubError):
        journal.step(tmp_path, run.id, "stop", fail)
    found = journal.read(tmp_path)
    assert found and (found.phases[0].result, found.phases[0].message) == ("failed", "The hub did not stop.")
    assert found.doing == "stop"
    assert done(tmp_path, run)["changed"]
    again = journal.read(tmp_path)
    assert again and [phase.result for phase in again.phases] == ["changed"]


def test_what_a_module_has_seen_is_a_warning_of_its_phase(tmp_path: Path) -> None:
    run = armed(tmp_path)
    seen = {"changed": False, "errors": ["E 1"], "deprecated": ["old"], "diff": {"before": "", "after": ""}}
    journal.step(tmp_path, run.id, "verify", lambda: dict(seen))
    found = journal.read(tmp_path)
    assert found and (found.phases[0].warnings, found.phases[0].result) == (["E 1", "old"], "ok")
    assert "diff" not in found.phases[0].measured


FIRST_FORMAT = Path(__file__).with_name("first_format")


def test_a_run_that_an_earlier_version_has_brought_to_its_end_is_read(tmp_path: Path) -> None:
    shutil.copy(FIRST_FORMAT / "accepted.json", state.run_file(tmp_path))
    found = journal.read(tmp_path)
    assert found and found.phase == journal.ACCEPTED
    assert [phase.name for phase in found.phases] == ["stop", "seal", "migrate", "switch", "start", "verify"]
    assert "was ended by the upgrade" in journal.summary(found)
    composed = report.compose(report.of_run(found))
    assert (composed["outcome"], composed["from_version"], composed["to_version"]) == (
        "upgraded",
        "4.1.6",
        "6.1.1",
    )
    assert composed["downtime_seconds"] > 0
    begun = begin(tmp_path)
    assert begun.format == journal.FORMAT


@pytest.mark.parametrize("guarded", [True, False])
def test_a_run_of_an_earlier_version_that_is_under_way_is_left_to_that(tmp_path: Path, guarded: bool) -> None:
    shutil.copy(FIRST_FORMAT / "outage.json", state.run_file(tmp_path))
    remedy = f"It has not touched the hub: remove {state.run_file(tmp_path)}."
    if guarded:
        state.guard_folder(tmp_path).mkdir()
        remedy = f"with the program that it left there: python3 {state.guard_folder(tmp_path)} restore."
    with pytest.raises(HubError) as refused:
        begin(tmp_path)
    assert "was begun by an earlier version of this collection, and is not over." in str(refused.value)
    assert str(refused.value).endswith(remedy)


def test_a_record_of_a_later_version_is_refused(tmp_path: Path) -> None:
    run = begin(tmp_path)
    data = {**json.loads(state.run_file(tmp_path).read_text()), "format": journal.FORMAT + 1}
    state.run_file(tmp_path).write_text(json.dumps(data))
    with pytest.raises(HubError, match=f"Run {run.id} was recorded by a later version of this collection"):
        journal.read(tmp_path)


def test_no_step_without_a_guard(tmp_path: Path) -> None:
    run = begin(tmp_path)
    with pytest.raises(HubError, match="No guard watches this run"):
        done(tmp_path, run)


def test_a_step_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    run = armed(tmp_path, confirm_timeout=-1)
    with pytest.raises(HubError, match="This run came too late: it had no heartbeat for 0 s"):
        done(tmp_path, run)


def test_a_run_that_is_over_gets_a_message_how_it_ended(tmp_path: Path) -> None:
    run = armed(tmp_path)
    journal.finish(tmp_path, run, journal.RESTORED, {"ended": "old", "by": "the guard", "reason": "silence"})
    with pytest.raises(HubError) as refused:
        done(tmp_path, run)
    assert "came too late" in str(refused.value)
    assert "was ended by the guard" in str(refused.value)
    assert "(silence): the old hub serves again." in str(refused.value)


def test_the_record_of_a_run_that_is_over_stays(tmp_path: Path) -> None:
    run = armed(tmp_path)
    journal.finish(tmp_path, run, journal.RESTORED, {"ended": "old", "by": "the guard", "reason": "silence"})
    begin(tmp_path)
    kept = json.loads((tmp_path / "runs" / run.id / "run.json").read_text())
    assert (kept["outcome"]["ended"], kept["outcome"]["by"]) == ("old", "the guard")


def test_what_is_known_late_of_a_run_does_not_take_the_place_of_the_next_one(tmp_path: Path) -> None:
    over = begin(tmp_path)
    journal.finish(tmp_path, over, journal.ACCEPTED, {"ended": "new", "by": "the guard", "reason": ""})
    under_way = begin(tmp_path)
    journal.mark_reported(tmp_path, over)
    present, past = journal.read(tmp_path), journal.recorded(tmp_path, over.id)
    assert present and present.id == under_way.id
    assert past and past.reported


def test_what_stands_alone_waits_for_no_run_but_is_refused_while_one_is_under_way(tmp_path: Path) -> None:
    assert journal.step(tmp_path, "", "stop", lambda: {"changed": True}) == {"changed": True}
    begin(tmp_path)
    with pytest.raises(journal.RunUnderWay):
        journal.step(tmp_path, "", "stop", lambda: {"changed": True})


def test_nothing_is_got_ready_where_a_run_is_under_way(tmp_path: Path) -> None:
    def prepare(folder: Path, run_id: str) -> dict[str, Any]:
        return journal.prepare(folder, run_id, "stage", lambda: {"changed": True})

    prepare(tmp_path / "nothing yet", "")
    assert not (tmp_path / "nothing yet").exists()
    run = begin(tmp_path)
    with pytest.raises(journal.RunUnderWay):
        prepare(tmp_path, "")
    prepare(tmp_path, run.id)
    found = journal.read(tmp_path)
    assert found and [phase.name for phase in found.phases] == ["stage"]
    journal.finish(tmp_path, run, journal.ENDED, {"ended": "unchanged", "by": "", "reason": ""})
    assert prepare(tmp_path, "") == {"changed": True}


def test_a_run_that_continues_gets_the_results_of_its_preparation(tmp_path: Path) -> None:
    run = armed(tmp_path)
    journal.prepare(tmp_path, run.id, "backup", lambda: {"changed": True, "path": "/point"})
    done(tmp_path, run)
    again = journal.prepare(tmp_path, run.id, "backup", lambda: {"changed": True, "path": "/another"})
    assert again == {"changed": False, "path": "/point"}


def test_a_reboot_ends_every_life(tmp_path: Path) -> None:
    run = begin(tmp_path)
    assert journal.is_live(tmp_path, run)
    reboot(tmp_path, run)
    assert not journal.is_live(tmp_path, run)


def test_the_wall_clock_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(tmp_path)
    day = time.time() + 86400
    monkeypatch.setattr(time, "time", lambda: day)
    assert journal.silence(tmp_path, run) < 60


def test_a_step_without_progress_writes_no_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_HEARTBEATS", 0.05)
    run = begin(tmp_path)
    sign = state.heartbeat_file(tmp_path)

    def signs(progress: Any) -> set[str]:
        """Every heartbeat within several intervals."""
        seen = set()
        with journal.alive(tmp_path, run, progress):
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                seen.add(sign.read_text())
        return seen

    assert len(signs(None)) >= 3
    assert len(signs(time.monotonic)) >= 3
    assert len(signs(lambda: "as before")) == 2, "one as it begins, one for the first look"


HOLD = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import tests
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
with journal.lock(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_heartbeat_and_lock_need_no_space_on_a_full_disk(tmp_path: Path) -> None:
    """A file that is overwritten in place, and does not grow, needs no new disk space."""

    def inodes_and_sizes() -> list[tuple[int, int]]:
        found = [path.stat() for path in (state.heartbeat_file(tmp_path), state.lock_file(tmp_path))]
        return [(each.st_ino, each.st_size) for each in found]

    run = begin(tmp_path)
    before = inodes_and_sizes()
    journal.beat(tmp_path, run)
    with journal.lock(tmp_path):
        assert inodes_and_sizes() == before
    assert inodes_and_sizes() == before


def test_the_lock_ends_with_the_process(tmp_path: Path) -> None:
    argv: list[str | Path] = [sys.executable, "-c", HOLD, tmp_path, REPOSITORY]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "mine\n"
        assert journal.lock_holder(tmp_path) == other.pid
        with pytest.raises(HubError, match=f"Process {other.pid} holds the lock of this hub"), journal.lock(
            tmp_path, 0.1
        ):
            pass
        other.send_signal(signal.SIGKILL)
    with journal.lock(tmp_path, 0.1):
        assert journal.lock_holder(tmp_path) == os.getpid()
    assert journal.lock_holder(tmp_path) is None


def test_a_controller_knows_when_its_own_process_has_died() -> None:
    machine = controller.holder()["process"].split("/")[0]
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        process = f"{machine}/{other.pid}/{birth(other.pid)}"
        assert not controller.has_died(process)
        other.communicate()
    assert controller.has_died(process)
    boot, container = machine.split()
    assert not controller.has_died(process.replace(boot, "another machine"))
    assert not controller.has_died(process.replace(container, "another container"))
    assert not controller.has_died("")


def test_what_another_process_has_begun_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    run = begin(tmp_path)
    run.process = "boot/1/2"
    assert run.is_of({"process": "boot/1/2"})
    assert not run.is_of({"process": "boot/3/4"})


def test_a_damaged_record_is_reported_with_its_path(tmp_path: Path) -> None:
    state.run_file(tmp_path).write_text('{"id": "half')
    with pytest.raises(HubError, match=f"{state.run_file(tmp_path)} cannot be read"):
        begin(tmp_path)
