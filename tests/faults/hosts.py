"""Faults on the hub's host: disks, locks, ports, modes, guards, administrators."""

from __future__ import annotations

import contextlib
import random
import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Callable, Union

from tests.testbed import staged

from .attempt import Attempt
from .host import OVER, STUCK, Host
from .releases import BROKEN, made_of
from .row import BRIEF, CONFIRM_SECONDS, NEW, OLD, RESTORE_SECONDS, Fault, Row
from .tasks import (
    IN_PLACE,
    MIGRATE,
    SEAL,
    START,
    STEPS,
    SWITCH,
    Moment,
    Task,
    is_arming,
    is_backup,
    moments,
)

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("ready", flush=True)
sys.stdin.read()
"""
LISTEN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
sys.stdin.read()
"""
HALF_WAY = BROKEN["migration fails", "half-way"]
#: Of a file system that runs out of them: enough for a recovery point, and little more.
INODES = 2000
#: Makes the choice of instants the same each time.
SEED = 7


def faults(tasks: list[Task]) -> Iterator[Fault]:
    yield Fault(
        "disk full",
        "at the backup",
        disk_full("/var/lib/hubops", is_backup),
        prepare=own_disk("/var/lib/hubops", 64),
    )
    yield Fault(
        "disk full",
        "at the migration, where the run is recorded",
        disk_full("/var/lib/hubops", MIGRATE),
        prepare=own_disk("/var/lib/hubops", 64),
        prepared=True,
    )
    yield Fault(
        "disk full",
        "at the migration",
        disk_full("/srv/jupyterhub", MIGRATE),
        prepare=own_disk("/srv/jupyterhub", 16),
        ends=(OLD, NEW),
        prepared=True,
    )
    yield Fault(
        "disk full",
        "at the switch",
        disk_full("/opt", SWITCH),
        prepare=own_disk("/opt", 2500),
        ends=(OLD, NEW),
        prepared=True,
    )
    for at, when in ((is_backup, "at the backup"), (MIGRATE, "at the migration")):
        yield Fault(
            "no inodes",
            when,
            disk_full("/var/lib/hubops", at, Host.fill_with_files),
            prepare=own_disk("/var/lib/hubops", 64, INODES),
            ends=(OLD, NEW),
            prepared=at == MIGRATE,
        )
    yield Fault(
        "no inodes",
        "where the database lies, at the migration",
        disk_full("/srv/jupyterhub", MIGRATE, Host.fill_with_files),
        prepare=own_disk("/srv/jupyterhub", 16, INODES),
        ends=(OLD, NEW),
        prepared=True,
    )
    yield Fault("recovery point damaged", "before the stop, each of its files in turn", damaged_before)
    yield Fault(
        "recovery point damaged",
        "after the stop, and the migration fails",
        damaged_after,
        prepare=made_of(HALF_WAY),
    )
    for at, when in ((SEAL, "at the last backup"), (MIGRATE, "at the migration")):
        yield Fault(
            "database locked by another process",
            when,
            locked(at),
            variables={"jupyterhub_lock_timeout": 2},
            prepared=True,
        )
    yield Fault(
        "old hub does not stop",
        "within its time",
        does_not_stop,
        prepare=deaf,
        variables={"jupyterhub_stop_timeout": 5},
        heals=False,  # It would not stop for the next upgrade either.
        prepared=True,
    )
    yield Fault(
        "port taken by another process",
        "at the start",
        port_taken,
        variables={"jupyterhub_start_timeout": 25},
        prepared=True,
    )
    yield Fault("environments' folder not writable", "at the switch", not_writable, prepared=True)
    yield Fault(
        "mode of the config wrong",
        "after the switch",
        unreadable_config,
        prepare=honest_root,
        variables={"jupyterhub_start_timeout": 25},
        prepared=True,
    )
    for moment in moments(tasks):
        if moment != IN_PLACE:
            yield Fault(
                "two runs at once",
                f"at the start of {moment}",
                two_runs(moment),
                ends=(NEW,),
                variables=PATIENT,
                selected=BRIEF if moment == SEAL else "",
                heals=moment == SEAL,
                prepared=isinstance(moment, str),
            )
    yield Fault(
        "hub started manually",
        "in each step of the outage",
        started_manually,
        ends=(NEW,),
        variables=PATIENT,
        prepared=True,
    )
    yield Fault(
        "clock set back one hour",
        "at the migration",
        clock_set_back,
        prepare=own_clock,
        ends=(NEW,),
        prepared=True,
    )
    yield Fault(
        "clock set back one hour",
        "at the migration, and the program of the outage is killed",
        clock_set_back_and_program_killed,
        prepare=own_clock,
        prepared=True,
    )
    yield Fault("restore interrupted", "three times", restore_interrupted, selected=BRIEF, prepared=True)
    yield Fault("restore interrupted", "by a power cut", restore_without_power, prepared=True)
    yield Fault("restore made to fail", "three times", restore_fails, prepared=True)
    for at, when in ((MIGRATE, "migration"), (START, "start")):
        yield Fault(
            "power cut, what was not synced is lost",
            f"before the {when}",
            power_cut_unsynced(at),
            fast=None,
        )
    yield Fault(
        "guard killed and stopped, /tmp cleared, daemon reloaded",
        "in the outage",
        guard_attacked,
        prepared=True,
    )


#: A step, or what the wanted task is.
Place = Union[str, Callable[[Task], bool]]
#: A run that is inspected from outside needs time without a heartbeat.
PATIENT = {"jupyterhub_confirm_timeout": 120}


def ends_red(row: Row, attempt: Attempt, says: str = "") -> None:
    row.require(attempt.end() != 0, "the run ends green")
    row.require(re.search(says, attempt.output()), f"the run does not say {says!r}: {attempt.last_message()}")


# Disks


def own_disk(folder: str, mebibytes: int, inodes: int = 0) -> Callable[[Row], None]:
    return lambda row: row.host.give_own_disk(folder, mebibytes, inodes)


def disk_full(folder: str, at: Place, fill: Callable[[Host, str], None] = Host.fill) -> Callable[[Row], None]:
    """Not one byte is free from a task on; the run, or the restore of the old hub, must still succeed."""

    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, at)
        fill(row.host, folder)
        row.go_on()
        attempt.end()
        row.host.wait_until(
            lambda: row.host.run().get("phase") != "restoring", "the restore", RESTORE_SECONDS
        )
        row.require(row.hub.version(), "the hub does not serve on a full disk")
        row.host.unfill(folder)

    return inject


def not_writable(row: Row) -> None:
    attempt = row.upgrade()
    row.go_to(attempt, SWITCH)
    row.hub.exec(["mount", "-o", "remount,bind,ro", "/opt"])
    row.go_on()
    row.require(attempt.end() != 0, "the run ends green")
    row.hub.wait_until_answers(row.hub.layout.version)
    row.hub.exec(["mount", "-o", "remount,bind,rw", "/opt"])
    # What could not be removed from it is removed by the next run.
    row.tidy_later = True


# Recovery points


def damage(row: Row, path: str) -> None:
    """Change one bit in the middle of a file, or of nothing where it is empty: then it gets a byte."""
    script = (
        "import sys; path = sys.argv[1]; data = bytearray(open(path, 'rb').read());\n"
        "data[len(data) // 2 : len(data) // 2 + 1] = bytes([data[len(data) // 2] ^ 1]) if data else b'x'\n"
        "open(path, 'wb').write(data)"
    )
    row.hub.exec(["/usr/bin/python3", "-c", script, path])


def damaged_before(row: Row) -> None:
    """The restore is tested before the outage: a recovery point with a wrong bit is refused."""
    process = row.hub.exec(["systemctl", "show", "--property=InvocationID", "jupyterhub.service"]).stdout
    attempt = row.upgrade()
    attempt.go_to(is_arming)
    for number, kept in enumerate(row.host.kept()):
        if number:
            staged.lay_out(row.hub)
            attempt = row.upgrade()
            attempt.go_to(is_arming)
        damage(row, f"{row.host.points()[-1]}/{kept}")
        ends_red(row, attempt)
        row.require(row.hub.version() == row.hub.layout.version, f"{kept} is damaged, and the hub is down")
        attempt.close()
    same = row.hub.exec(["systemctl", "show", "--property=InvocationID", "jupyterhub.service"]).stdout
    row.require(same == process, "the hub was stopped although no rollback was possible")


def damaged_after(row: Row) -> None:
    """Neither upgrade nor restore is possible: the hub is held; the command for a manual restore works."""
    attempt = row.upgrade()
    row.go_to(attempt, MIGRATE)
    copy = f"{row.host.points()[-1]}/sealed.sqlite"
    damage(row, copy)
    row.go_on()
    row.require(attempt.end() != 0, "the run ends green")
    said = attempt.last_message()
    row.host.wait_until_phase((STUCK,), 4 * CONFIRM_SECONDS + RESTORE_SECONDS)
    row.require(not row.host.may_start(), "the hub may be started in between")
    row.require(row.hub.version() is None, "the hub answers in between")
    damage(row, copy)
    restore_manually(row, said)


def restore_manually(row: Row, said: str) -> None:
    """Run the command that a message names, as an administrator would on the host."""
    command = re.search(r"\S*python\S* \S+/guard restore", said)
    if command is None:
        row.require(False, f"no command for a manual restore in: {said}")
        return
    done = row.hub.exec(shlex.split(command[0]), check=False)
    row.require(done.returncode == 0, f"the command for a manual restore fails: {done.stdout}{done.stderr}")


def restore_fails(row: Row) -> None:
    """The database cannot be restored: three attempts, then the hub is held until an administrator acts."""
    attempt = row.upgrade()
    row.go_to(attempt, START)
    row.hub.exec(["mount", "-o", "remount,bind,ro", "/srv"])
    row.host.kill_program()
    row.host.wait_until_phase((STUCK,), 4 * CONFIRM_SECONDS + 4 * RESTORE_SECONDS)
    row.require(attempt.end() != 0, "the run ends green")
    row.require(row.host.run().get("failures") == 3, f"{row.host.run().get('failures')} attempts")
    row.require(not row.host.may_start(), "the hub may be started in between")
    row.require(row.hub.version() is None, "the hub answers in between")
    journal = row.hub.exec(["journalctl", "--no-pager", "--unit=hubops-guard-jupyterhub.service"]).stdout
    row.hub.exec(["mount", "-o", "remount,bind,rw", "/srv"])
    restore_manually(row, journal)


# Restores


def restore_interrupted(row: Row) -> None:
    """The restoring process is killed three times, at other instants; the recovery point does not change."""
    chance = random.Random(SEED)
    attempt = row.upgrade()
    row.go_to(attempt, START)
    before = row.host.point_checksums()
    row.host.kill_program()
    for number in (1, 2, 3):
        with row.host.killing_restore(number, chance.uniform(0, 0.5)) as outcome:
            pass
        row.require(outcome["killed"], f"attempt {number} was over before it could be interrupted")
    row.host.wait_until_over(RESTORE_SECONDS)
    row.require(attempt.end() != 0, "the run ends green")
    row.require(row.host.point_checksums() == before, "the recovery point has changed")


def restore_without_power(row: Row) -> None:
    attempt = row.upgrade()
    row.go_to(attempt, START)
    row.host.kill_program()
    wait_until_restoring(row)
    row.hub.cut_power()
    row.hub.boot()
    row.require(attempt.end() != 0, "a run whose host was restarted ends green")


def power_cut_unsynced(at: Place) -> Callable[[Row], None]:
    """What the disk does not have is gone: whatever counts must have been synced before it was counted on."""

    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, at)
        row.hub.cut_power_unsynced(("/opt", "/srv", "/var/lib/hubops", "/etc/jupyterhub"))
        row.hub.boot()
        row.require(attempt.end() != 0, "a run whose host was restarted ends green")

    return inject


def guard_attacked(row: Row) -> None:
    """All that could end the guard but the removal of its files."""
    attempt = row.upgrade()
    row.go_to(attempt, MIGRATE)
    pid = row.host.guard_pid()
    row.require(pid, "no guard runs in the outage")
    if pid:
        row.hub.exec(["kill", "-KILL", str(pid)])
    row.hub.exec(["systemctl", "stop", "hubops-guard-jupyterhub.service"], check=False)
    row.hub.exec(["systemctl", "daemon-reload"])
    row.hub.exec(["sh", "-c", "rm -rf /tmp/* /tmp/.[!.]*"])
    row.host.kill_program()
    row.require(attempt.end() != 0, "the run ends green")


# Clocks


def own_clock(row: Row) -> None:
    row.host.give_own_clock()


def clock_set_back(row: Row) -> None:
    attempt = row.upgrade()
    row.go_to(attempt, MIGRATE)
    row.host.set_clock(-3600)
    row.go_on()
    row.require(attempt.end() == 0, f"the run fails: {attempt.last_message()}")
    row.require(
        attempt.report()["downtime_seconds"] is None, "an outage is reported that cannot have been measured"
    )


def clock_set_back_and_program_killed(row: Row) -> None:
    """The guard waits no longer for that, and its seconds are its own."""
    attempt = row.upgrade()
    row.go_to(attempt, MIGRATE)
    row.host.set_clock(-3600)
    row.host.kill_program()
    row.require(attempt.end() != 0, "the run ends green")


# Other processes


@contextlib.contextmanager
def running(row: Row, program: str, argument: str) -> Iterator[subprocess.Popen[str]]:
    """Another process on the host, from its message that it is ready to the end of the block."""
    with row.hub.running(["/usr/bin/python3", "-c", program, argument]) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process


def locked(at: Place) -> Callable[[Row], None]:
    def inject(row: Row) -> None:
        attempt = row.upgrade()
        row.go_to(attempt, at)
        with running(row, LOCK, row.hub.layout.database):
            row.go_on()
            wait_until_restoring(row)
        ends_red(row, attempt, "locked")

    return inject


def port_taken(row: Row) -> None:
    attempt = row.upgrade()
    row.go_to(attempt, START)
    with running(row, LISTEN, "8081"):
        row.go_on()
        wait_until_restoring(row)
    ends_red(row, attempt)


def drop_in(row: Row, name: str, settings: str) -> None:
    """Add settings to the hub's unit."""
    folder = "/etc/systemd/system/jupyterhub.service.d"
    row.hub.exec(["mkdir", "-p", folder])
    row.hub.write(f"{folder}/{name}.conf", f"[Service]\n{settings}")
    row.hub.exec(["systemctl", "daemon-reload"])


#: A hub of 4.1 that agrees to end, and does not.
STAYS = """
from jupyterhub.apihandlers.hub import ShutdownAPIHandler

ShutdownAPIHandler.post = lambda self: self.set_status(202)
"""


def deaf(row: Row) -> None:
    """The hub does not end when it is asked to, nor by its unit's signal; and the unit waits long."""
    row.hub.exec(["tee", "-a", row.hub.layout.config_file], stdin=STAYS)
    row.hub.service("restart")
    row.hub.wait_until_answers()
    drop_in(row, "deaf", "KillSignal=SIGWINCH\nTimeoutStopSec=900\n")


def does_not_stop(row: Row) -> None:
    ends_red(row, row.upgrade(), "did not stop within 5 seconds")


# Administrators


def honest_root(row: Row) -> None:
    """A root that modes apply to, as they do to the user of many a hub."""
    drop_in(row, "modes", "CapabilityBoundingSet=~CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH\n")
    row.hub.service("restart")
    row.hub.wait_until_answers()


def unreadable_config(row: Row) -> None:
    attempt = row.upgrade()
    row.go_to(attempt, START)
    row.hub.exec(["chmod", "0000", row.hub.layout.config_file])
    row.go_on()
    ends_red(row, attempt)


def two_runs(moment: Moment) -> Callable[[Row], None]:
    """The second one is refused and names the first one, which gets on as if nothing had been."""

    def inject(row: Row) -> None:
        first = row.upgrade()
        row.go_to(first, moment)
        run = row.host.run()
        second = row.upgrade()
        ends_red(row, second, re.escape(run.get("id", "no run")))
        row.go_on()
        row.require(first.end() == 0, f"the first run fails: {first.last_message()}")

    return inject


def started_manually(row: Row) -> None:
    """While neither the old nor the new hub may run, an administrator cannot start one."""
    attempt = row.upgrade()
    steps = [step for step in STEPS if step != IN_PLACE]
    for step in steps[steps.index(SEAL) : steps.index(START) + 1]:
        row.go_to(attempt, step)
        row.require(not row.host.may_start(), f"the hub can be started at the start of {step}")
    row.go_on()
    row.require(attempt.end() == 0, f"the run fails: {attempt.last_message()}")


def wait_until_restoring(row: Row) -> None:
    row.host.wait_until_phase(("restoring", *OVER), RESTORE_SECONDS)
