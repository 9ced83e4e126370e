"""Inspects and changes the hub's host during a run, without Ansible."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Dict

from tests.testbed import Hub
from tests.testbed.judge import entries

#: In the hub's state folder: what may stay behind a run.
LASTING = {"restored.json", "recovery", "runs", "run.json", "migration.log", "builder", "heartbeat", "lock"}
Killing = contextlib.AbstractContextManager[Dict[str, Any]]

OVER = ("accepted", "restored", "ended")
STUCK = "stuck"
VERIFIED = "verified"
POLL_SECONDS = 0.25

#: Prints "watching", waits for its condition, kills, and prints what it has killed.
_PREAMBLE = """
import json, os, signal, sys, time
def text(*path):
    try:
        with open(os.path.join(*path)) as file:
            return file.read()
    except OSError:
        return ""
def run(folder):
    try:
        return json.loads(text(folder, "run.json"))
    except ValueError:
        return {}
def holder(folder):
    return int((text(folder, "lock").split() or ["0"])[0])
def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    print(json.dumps({"killed": pids[0]}), flush=True)
    sys.exit(0)
print("watching", flush=True)
deadline = time.monotonic() + 120
"""

# The process that a module runs in has read its program from standard input: it has no arguments.
_KILL_MODULE = (
    _PREAMBLE
    + """
folder, delay, patience = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
begun = {}
while time.monotonic() < deadline:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if text("/proc", pid, "cmdline") == "/usr/bin/python3\\0":
            age = time.monotonic() - begun.setdefault(pid, time.monotonic())
            works = run(folder).get("doing") and holder(folder) == int(pid)
            if works or age > patience:
                time.sleep(delay if works else 0)
                kill(int(pid))
    time.sleep(0.0005)
print(json.dumps({"killed": None}), flush=True)
"""
)

_KILL_RESTORE = (
    _PREAMBLE
    + """
folder, attempt, delay = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
while time.monotonic() < deadline:
    found = run(folder)
    if found.get("phase") == "restoring" and found.get("attempts") == attempt and holder(folder):
        time.sleep(delay)
        kill(holder(folder))
    time.sleep(0.0005)
print(json.dumps({"killed": None}), flush=True)
"""
)


# The program of the outage, which waits at the start of a step while a file names it.
_HELD_MAIN = """
import pathlib
import sys
import time

from hubops_guard.recovery.guard_program import main
from hubops_guard.runs import journal

folder = pathlib.Path(__file__).resolve().parents[1]
take = journal.step

def text(name):
    try:
        return (folder / "guard" / name).read_text().strip()
    except OSError:
        return ""

def step(where, run_id, name, *arguments, **options):
    with journal.alive(where, journal.mine(where, run_id)):
        while text("hold") == name:
            # Once: whoever reads it while it is written finds nothing.
            if text("held") != name:
                (folder / "guard" / "held").write_text(name)
            time.sleep(0.01)
    return take(where, run_id, name, *arguments, **options)

journal.step = step
sys.exit(main(folder))
"""

# What is done in a step: to the program of the outage, to all that it has started, or to the hub.
_IN_STEP = (
    _PREAMBLE
    + """
folder, step, what, delay = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
def program():
    return int(text(folder, "guard", "outage.process").split()[0])
def workers():
    found = {int(pid): int(text("/proc", pid, "stat").rpartition(")")[2].split()[1])
             for pid in os.listdir("/proc") if pid.isdigit() and text("/proc", pid, "stat")}
    family = {program()}
    while True:
        more = {pid for pid, parent in found.items() if parent in family} - family
        if not more:
            return family - {program()}
        family |= more
def hub():
    shown = os.popen("systemctl show --property=MainPID jupyterhub.service").read()
    return {int(shown.strip().rpartition("=")[2])} - {0}
while time.monotonic() < deadline:
    if run(folder).get("doing") == step and holder(folder):
        time.sleep(delay)
        if what == "freeze":
            os.kill(program(), signal.SIGSTOP)
            print(json.dumps({"killed": program()}), flush=True)
            sys.exit(0)
        victims = {"program": lambda: {program()}, "workers": workers, "hub": hub}[what]()
        if victims:
            kill(*victims)
    time.sleep(0.0005)
print(json.dumps({"killed": None}), flush=True)
"""
)

# Looks for itself, often: each look from outside would be a process of the engine's, and the record is long.
_WAIT = (
    _PREAMBLE
    + """
folder, patience, phases, step = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(), sys.argv[4]
deadline = time.monotonic() + patience
while time.monotonic() < deadline:
    if step and text(folder, "guard", "held").strip() == step:
        print("held", flush=True)
        break
    record = text(folder, "run.json")
    if any(f'\\n  "phase": "{phase}"' in record for phase in phases):
        break
    time.sleep(0.05)
"""
)
_LET_TIME_PASS = """
import sys
with open(sys.argv[1] + "/heartbeat", "r+") as file:
    run_id, moment = file.read().split()
    file.seek(0)
    file.write(f"{run_id} {float(moment) - float(sys.argv[2])}".ljust(80))
"""

_END_SESSION = """
import os, signal
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        with open("/proc/%d/cgroup" % pid) as file:
            if pid not in (1, os.getpid()) and ".slice/" not in file.read():
                os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass
"""


class Host:
    """The host of one hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.folder = f"{hub.layout.state_folder}/jupyterhub"

    # The run

    def run(self) -> dict[str, Any]:
        """The present or last run, ``{}`` where there is none."""
        shown = self.hub.exec(["cat", f"{self.folder}/run.json"], check=False)
        return dict(json.loads(shown.stdout)) if shown.returncode == 0 and shown.stdout else {}

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Poll until something is so; raises TimeoutError with the state of the run."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout:.0f} s for {what}; the run: {summary(self.run())}")
            time.sleep(POLL_SECONDS)

    def wait_until_over(self, timeout: float) -> dict[str, Any]:
        """Wait until the run has ended, or no further attempt is made; return the run."""
        return self.wait_until_phase((*OVER, STUCK), timeout)

    def wait_until_phase(self, phases: tuple[str, ...], timeout: float) -> dict[str, Any]:
        """Wait until the run is in one of these phases; return the run, or raise TimeoutError."""
        self._look_for(phases, "", timeout)
        run = self.run()
        if run.get("phase") not in phases:
            raise TimeoutError(f"waited {timeout:.0f} s for {' or '.join(phases)}; the run: {summary(run)}")
        return run

    def wait_until_held(self, step: str, timeout: float) -> bool:
        """Whether the program of the outage came to this step, where it waits, before the run was over."""
        return self._look_for((*OVER, STUCK), step, timeout)

    def _look_for(self, phases: tuple[str, ...], step: str, timeout: float) -> bool:
        """Return when the run is in one of these phases, or late; True when it waits at this step."""
        program = ["/usr/bin/python3", "-c", _WAIT, self.folder, str(timeout), " ".join(phases), step]
        return self.hub.exec(program).stdout.splitlines()[-1] == "held"

    # What is left

    def leftovers(self, before: set[str]) -> list[str]:
        """What a run has forgotten: files, processes and units that were not there before."""
        left = {path for path in entries(self.hub) - before if ".before-" not in path}
        # The state folder has rules of its own, and systemd keeps the times of its timers there.
        left = {path for path in left if not path.startswith("/var/lib")}
        # Ansible unpacks a module there, and cannot remove it when the module is killed.
        left = {path for path in left if not path.startswith("/tmp/ansible_")}
        # Which environment this is: the fingerprint shows whether it is the right one.
        left = {path for path in left if not path.endswith("/.hubops-staged.json")} - {"/run/hubops"}
        inside = self.hub.exec(
            ["find", self.folder, "-mindepth", "1", "-maxdepth", "1", "-printf", "%f\\n"], check=False
        )
        left |= {f"{self.folder}/{name}" for name in set(inside.stdout.split()) - LASTING}
        reserves = self.hub.exec(["find", f"{self.folder}/recovery", "-name", "*reserve*"], check=False)
        left |= set(reserves.stdout.split())
        units = self.hub.exec(
            ["systemctl", "list-units", "--all", "--plain", "--no-legend", "hubops-*"], check=False
        )
        left |= {f"unit {line.split()[0]}" for line in units.stdout.splitlines() if line.strip()}
        processes = self.hub.exec(
            ["pgrep", "--full", "stay_in_this_environment|hubops/jupyterhub/guard"], check=False
        )
        left |= {f"process {pid}" for pid in processes.stdout.split()}
        return sorted(left)

    def points(self) -> list[str]:
        """The recovery points, oldest first."""
        found = self.hub.exec(
            ["find", f"{self.folder}/recovery", "-mindepth", "1", "-maxdepth", "1"], check=False
        )
        return sorted(found.stdout.split())

    def kept(self) -> list[str]:
        """The files of the newest recovery point, but for its reserved space."""
        find = ["find", self.points()[-1], "-type", "f", "-not", "-name", "*reserve*", "-printf", "%P\\n"]
        return sorted(self.hub.exec(find).stdout.splitlines())

    def point_checksums(self) -> str:
        """All files of all recovery points with their checksums, but for what restores have set aside."""
        find = "find . -type f -not -path '*/replaced/*' -not -name '*reserve*'"
        script = f"cd {self.folder}/recovery && {find} | sort | xargs sha256sum"
        return self.hub.exec(["sh", "-c", script]).stdout

    def is_held(self) -> bool:
        return self.hub.exists(f"{self.folder}/hold")

    def may_start(self) -> bool:
        """Whether the service manager starts the hub on request."""
        asked = self.hub.exec(["systemctl", "start", self.hub.layout.systemd_unit], check=False)
        return asked.returncode == 0

    # What is done to it

    def guard_pid(self) -> int | None:
        """The guard's process as systemd knows it, None where none runs."""
        shown = self.hub.exec(
            ["systemctl", "show", "--property=MainPID", "hubops-guard-jupyterhub.service"], check=False
        )
        pid = int(shown.stdout.strip().rpartition("=")[2] or 0)
        return pid or None

    def killing_module(self, delay: float, patience: float) -> Killing:
        """Within the block: SIGKILL for the next module's process, ``delay`` seconds after its step begins.

        One that takes no step of the outage is killed ``patience`` seconds after its start. Afterwards the
        yielded mapping has ``killed``: the process, or None.
        """
        return self._watching([_KILL_MODULE, self.folder, str(delay), str(patience)])

    def hold_outage(self, step: str) -> None:
        """Have the program of the outage wait at the start of this step, and at no other.

        For the first time between the arming of the guard, which installs the program, and the outage.
        """
        main = f"{self.folder}/guard/__main__.py"
        if self.hub.read(main) != _HELD_MAIN:
            self.hub.write(main, _HELD_MAIN)
        # At once: a program that waits already would find nothing in between, and go on.
        script = 'printf %s "$1" > "$2.new" && mv "$2.new" "$2"'
        self.hub.exec(["sh", "-c", script, "sh", step, f"{self.folder}/guard/hold"])

    def held(self) -> str:
        """The step at whose start the program of the outage has waited last, '' where it has not."""
        return self.hub.exec(["cat", f"{self.folder}/guard/held"], check=False).stdout.strip()

    def release_outage(self) -> None:
        """Let the program of the outage continue."""
        self.hub.exec(["rm", "-f", f"{self.folder}/guard/hold"])

    def kill_program(self) -> None:
        """SIGKILL for the program of the outage."""
        self.hub.exec(["sh", "-c", f"kill -KILL $(cut -d' ' -f1 {self.folder}/guard/outage.process)"])

    def let_time_pass(self, seconds: float) -> None:
        """Make the run's last heartbeat so much older, where all others only wait."""
        self.hub.exec(["/usr/bin/python3", "-c", _LET_TIME_PASS, self.folder, str(seconds)])

    def end_session(self) -> None:
        """SIGKILL for what tasks have started and no unit has, as by logind when their connection ends."""
        self.hub.exec(["/usr/bin/python3", "-c", _END_SESSION])

    def kill_guard(self) -> None:
        """SIGKILL for the guard, which systemd starts again."""
        self.hub.exec(["kill", "-KILL", str(self.guard_pid())])

    def killing_in(self, step: str, what: str, delay: float) -> Killing:
        """The same within the block, ``delay`` seconds after the host has begun a step.

        ``what`` is ``program`` for the program of the outage, ``workers`` for all that it has started,
        ``hub``, or ``freeze``, which stops the program (SIGSTOP).
        """
        return self._watching([_IN_STEP, self.folder, step, what, str(delay)])

    def killing_restore(self, attempt: int, delay: float) -> Killing:
        """The same for the process that makes this attempt, from 1, to restore the old hub."""
        return self._watching([_KILL_RESTORE, self.folder, str(attempt), str(delay)])

    @contextlib.contextmanager
    def _watching(self, program: list[str]) -> Iterator[dict[str, Any]]:
        outcome: dict[str, Any] = {"killed": None}
        with self.hub.running(["/usr/bin/python3", "-c", *program]) as watcher:
            assert watcher.stdout
            assert watcher.stdout.readline() == "watching\n"
            yield outcome
            outcome.update(json.loads(watcher.stdout.readline() or '{"killed": null}'))

    def give_own_disk(self, folder: str, mebibytes: int, inodes: int = 0, server: str = "") -> None:
        """Put a folder, with all that is in it, on a file system of limited size; the hub is restarted.

        ``inodes`` limits files and folders, too, unless it is 0. ``server`` is the unit that works there.
        """
        scratch = f"/mnt{folder}"
        options = f"size={mebibytes}m,mode=0755,nr_inodes={inodes}"
        self.hub.service("stop")
        if server:
            self.hub.exec(["systemctl", "stop", server])
        self.hub.exec(["mkdir", "-p", scratch, folder])
        self.hub.exec(["mount", "-t", "tmpfs", "-o", options, "tmpfs", scratch])
        self.hub.exec(["cp", "-a", f"{folder}/.", scratch])
        self.hub.exec(["mount", "--bind", scratch, folder])
        if server:
            self.hub.exec(["systemctl", "start", server])
        self.hub.service("start")
        self.hub.wait_until_answers()

    def give_own_clock(self) -> None:
        """Give all processes that start from now on a clock that can be set; the hub is restarted.

        The machine's clock and monotonic clocks are not changed.
        """
        self.set_clock(0)
        self.hub.write("/etc/ld.so.preload", "/usr/local/lib/clock.so\n")
        self.hub.service("restart")
        self.hub.wait_until_answers()

    def set_clock(self, seconds: int) -> None:
        """Set the clock so many seconds ahead of the machine's, or behind it."""
        self.hub.write("/etc/clock-offset", f"{seconds}\n")

    def fill(self, folder: str) -> None:
        """Leave not one free byte on a folder's file system."""
        self.hub.exec(["sh", "-c", f"cat /dev/zero > {folder}/filler"], check=False)
        self.hub.exec(["sh", "-c", f"for n in 1 2 3; do printf x >> {folder}/filler.$n; done"], check=False)

    def fill_with_files(self, folder: str) -> None:
        """Leave not one free inode on a folder's file system."""
        script = f"n=0; while : > {folder}/filler.$n; do n=$((n + 1)); done"
        self.hub.exec(["sh", "-c", script], check=False)

    def unfill(self, folder: str) -> None:
        self.hub.exec(["sh", "-c", f"rm -f {folder}/filler*"])


def summary(run: dict[str, Any]) -> dict[str, Any]:
    """What matters of a run when something went wrong."""
    keys = ("id", "phase", "doing", "attempts", "failures", "outcome")
    return {
        **{key: run[key] for key in keys if run.get(key)},
        "phases": [phase["name"] for phase in run.get("phases", [])],
    }
