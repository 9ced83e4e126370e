"""A run of a playbook that can be held, cut off and broken at the start of any of its tasks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import family

from tests.testbed import Hub, prepared
from tests.testbed.hub import CONNECTION

from .tasks import Task

CALLBACKS = Path(__file__).with_name("callback")
#: Longer than any step of a run, also on a busy machine.
PATIENCE_SECONDS = 300


class NotInjected(Exception):
    """The fault did not occur, so the row has no result."""


class Attempt:
    """``ansible-playbook`` with all that it starts.

    It waits at its first task: call `go_to` or `go_on`. ``end`` waits for its exit.
    """

    def __init__(
        self, checkout: Path, playbook: str, hub: Hub, variables: dict[str, Any], fast: bool = False
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hubops-attempt-"))
        self._report = self._folder / "report.json"
        inventory = self._folder / "inventory.json"
        wanted = {"jupyterhub_report_fetch": str(self._report), **variables}
        inventory.write_text(json.dumps(hub.inventory(wanted)))
        spared = prepared.environment(CONNECTION, checkout) if fast else {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "rendezvous"))
        self._listener.listen()
        self._changed = threading.Condition()
        self._may_pass: Callable[[Task], bool] = lambda task: False
        self._said = ""
        #: The task at whose start the playbook waits, None while it works.
        self.at: Task | None = None
        #: Each task that was begun.
        self.begun: set[Task] = set()
        threading.Thread(target=self._serve, daemon=True).start()
        self._output = (self._folder / "output").open("w+")
        self._process = subprocess.Popen(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                "--inventory",
                inventory,
                f"playbooks/{playbook}",
            ],
            cwd=checkout,
            env={
                **os.environ,
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                **spared,
                "ANSIBLE_CALLBACK_PLUGINS": ":".join(
                    [str(CALLBACKS), *filter(None, [spared.get("ANSIBLE_CALLBACK_PLUGINS")])]
                ),
                "HUBOPS_RENDEZVOUS": str(self._folder / "rendezvous"),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def go_to(self, wanted: Callable[[Task], bool] | Task) -> Task:
        """Let it work until the start of such a task, where it waits.

        Raises NotInjected when it ends before.
        """
        matches = wanted if callable(wanted) else lambda task: task == wanted
        with self._changed:
            left, self.at = self.at, None
            self._may_pass = lambda task: not matches(task) or task == left
            self._changed.notify_all()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self.at is None:
                self._changed.wait(0.5)
                if self.at is None and (self._process.poll() is not None or time.monotonic() > deadline):
                    raise NotInjected(f"the run did not come to {wanted}:\n{self.output()[-3000:]}")
            return self.at

    def go_on(self) -> None:
        """Let it work to its end."""
        with self._changed:
            self.at = None
            self._may_pass = lambda task: True
            self._changed.notify_all()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to ansible-playbook and all that it has started, a SIGINT only as a terminal does.

        Its workers have sessions of their own, which Ctrl-C does not reach.
        """
        if number == signal.SIGINT:
            os.killpg(self._process.pid, number)
        else:
            signal_all(self._process.pid, number)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> int:
        """Wait for its exit; the exit status, negative when a signal ended it."""
        self.go_on()
        try:
            return self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.close()
            raise TimeoutError(f"the run does not end:\n{self.output()[-3000:]}") from None

    def output(self) -> str:
        """Its output; also after `close`."""
        if self._folder.exists():
            self._said = (self._folder / "output").read_text(errors="replace")
        return self._said

    def last_message(self) -> str:
        """The message of the last task that failed, as the administrator sees it."""
        failures = re.findall(
            r"^fatal: \[[^\]]+\]: (?:FAILED|UNREACHABLE)! => (\{.*\})$", self.output(), re.MULTILINE
        )
        return str(json.loads(failures[-1]).get("msg")) if failures else self.output()[-500:]

    def changed(self) -> int:
        """Number of changed tasks, from the recap."""
        return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", self.output()))

    def report(self) -> dict[str, Any]:
        """The report that it has fetched to the controller, ``{}`` where it made none."""
        return dict(json.loads(self._report.read_text())) if self._report.exists() else {}

    def close(self) -> None:
        """Leave nothing of it behind."""
        if self.is_running():
            self.signal(signal.SIGKILL)
        self._process.wait()
        self.output()
        self.go_on()
        self._listener.close()
        self._output.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return
        times: Counter[str] = Counter()
        # A playbook that was killed does not read the last line.
        with contextlib.suppress(BrokenPipeError), connection, connection.makefile("rw") as stream:
            while line := _line(stream):
                name = line.strip()
                times[name] += 1
                task = Task(name, times[name])
                self.begun.add(task)
                self._wait_at(task)
                try:
                    stream.write("go on\n")
                    stream.flush()
                except OSError:
                    return

    def _wait_at(self, task: Task) -> None:
        with self._changed:
            while not self._may_pass(task):
                if self.at != task:
                    self.at = task
                    self._changed.notify_all()
                self._changed.wait(0.5)


def signal_all(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and all that it has started."""
    for each in [process.pid for process in family(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def _line(stream: TextIO) -> str:
    """The next task's name; '' when the playbook has ended, however."""
    try:
        return stream.readline()
    except OSError:
        return ""
