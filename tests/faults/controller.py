"""The controller dies, hangs or loses its connection to the host; the host loses its power; a worker dies."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .attempt import NotInjected
from .host import OVER
from .reference import Reference
from .row import BRIEF, CONFIRM_SECONDS, NEW, OLD, RESTORE_SECONDS, WHOLE, Fault, Row
from .tasks import Task

Inject = Callable[[Row, Task], None]
#: Messages of a run that continues too late.
TOO_LATE = re.compile(r"came too late|not under way any more|came after it")
WORKER_DELAY_SECONDS = 0.01
#: How long a module may take to begin its step, where it takes one.
STEP_SECONDS = 0.6


def killed(row: Row, task: Task) -> None:
    attempt = row.upgrade()
    attempt.go_to(task)
    attempt.signal(signal.SIGKILL)
    attempt.end()


def killed_after(row: Row, task: Task) -> None:
    """There is no reason for a rollback: the new hub is kept, and the next run reports that."""
    attempt = row.upgrade()
    attempt.go_to(task)
    attempt.go_to(lambda _next: True)
    attempt.signal(signal.SIGKILL)
    attempt.end()


def interrupted(row: Row, task: Task) -> None:
    attempt = row.upgrade()
    attempt.go_to(task)
    attempt.signal(signal.SIGINT)
    row.require(attempt.end() != 0, "a run that was interrupted ends green")


def frozen(row: Row, task: Task) -> None:
    """The controller is frozen until the guard has restored the old hub: the late run must notice."""
    attempt = row.upgrade()
    attempt.go_to(task)
    guarded = row.host.run().get("phase") != "preparing"
    attempt.signal(signal.SIGSTOP)
    if guarded:
        row.host.wait_until(
            lambda: row.host.run().get("phase") in OVER, "the guard", CONFIRM_SECONDS + RESTORE_SECONDS
        )
    attempt.signal(signal.SIGCONT)
    status = attempt.end()
    if guarded:
        row.require(status != 0, "a late run ends green")
        row.require(TOO_LATE.search(attempt.output()), f"message of a late run: {attempt.last_message()}")


def cut_off(row: Row, task: Task) -> None:
    """The host cannot be reached under its name any more; everything on it continues."""
    attempt = row.upgrade()
    attempt.go_to(task)
    row.hub.rename(f"{row.hub.container}-moved")
    row.require(attempt.end() != 0, "a run that has lost its host ends green")


def without_power(row: Row, task: Task) -> None:
    """The host is started again at once, and the run continues."""
    attempt = row.upgrade()
    attempt.go_to(task)
    row.hub.cut_power()
    row.hub.boot()
    row.require(attempt.end() != 0, "a run whose host was restarted ends green")


def without_worker(row: Row, task: Task) -> None:
    attempt = row.upgrade()
    attempt.go_to(task)
    with row.host.killing_module(WORKER_DELAY_SECONDS, STEP_SECONDS) as outcome:
        attempt.go_to(lambda _next: True)
    if outcome["killed"] is None:
        raise NotInjected(f"no process of {task} was met")
    attempt.end()


AT_EACH_TASK: dict[str, tuple[Inject, str]] = {
    "ansible-playbook killed (SIGKILL)": (killed, "at the start of"),
    "ansible-playbook interrupted (SIGINT)": (interrupted, "at the start of"),
    "controller frozen, and late": (frozen, "at the start of"),
    "host not reachable any more": (cut_off, "at the start of"),
    "power cut, and the run continues": (without_power, "at the start of"),
    "worker killed": (without_worker, "in the middle of"),
}
#: For CI: those that differ most in what they leave behind.
SELECTED = {
    ("ansible-playbook killed (SIGKILL)", "hub_service : start"): WHOLE,
    ("ansible-playbook killed (SIGKILL)", "hub_guard : accept"): BRIEF,
    ("controller frozen, and late", "hub_database"): BRIEF,
    ("power cut, and the run continues", "hub_packages : switch"): BRIEF,
    ("worker killed", "hub_packages : switch"): BRIEF,
}


def at_each_task(tasks: list[Task]) -> Iterator[Fault]:
    """Each of these faults at each task of the outage."""
    for fault, (inject, when) in AT_EACH_TASK.items():
        for task in tasks:
            yield Fault(
                fault,
                f"{when} {task}",
                _at(inject, task),
                ends=_ends(inject, task, tasks),
                variables=_variables(inject, task, tasks),
                selected=_selected(fault, task, tasks),
            )
    yield Fault(
        "ansible-playbook killed (SIGKILL)", "after the acceptance", _at(killed_after, tasks[-1]), ends=(NEW,)
    )


def at_random(count: int, seed: int, tasks: list[Task], reference: Reference) -> Iterator[Fault]:
    """So many faults, each at any moment of the outage."""
    chance = random.Random(seed)
    longest = sum(reference.seconds(task) for task in tasks)
    for _number in range(count):
        what = chance.choice(["killed", "power cut", "worker killed"])
        seconds = round(chance.uniform(0, longest), 3)
        yield Fault(
            f"{what} (seed {seed})",
            f"{seconds:.3f} s after the start of {tasks[0]}",
            _after(what, seconds, tasks[0]),
            ends=(OLD, NEW),
        )


def _after(what: str, seconds: float, first: Task) -> Callable[[Row], None]:
    def inject(row: Row) -> None:
        attempt = row.upgrade()
        attempt.go_to(first)
        attempt.go_on()
        time.sleep(seconds)
        if what == "killed":
            attempt.signal(signal.SIGKILL)
        elif what == "power cut":
            row.hub.cut_power()
            row.hub.boot()
        elif attempt.is_running():
            with row.host.killing_module(0, patience=0):
                pass
        attempt.end()

    return inject


def _at(inject: Inject, task: Task) -> Callable[[Row], None]:
    return lambda row: inject(row, task)


def _ends(inject: Inject, task: Task, tasks: list[Task]) -> tuple[str, ...]:
    if inject is frozen and task == tasks[0]:
        # The outage has not begun, and no other process has taken over.
        return (NEW,)
    if inject is without_worker and task == tasks[-1]:
        # It may have accepted the new hub, and died before it returned its result.
        return (OLD, NEW)
    return (OLD,)


def _variables(inject: Inject, task: Task, tasks: Iterable[Task]) -> dict[str, Any]:
    """The first of two equal tasks that exchange environments works only where nothing could be staged."""
    in_place = "switch |" in task.name and task.number == 1 and Task(task.name, 2) in tasks
    return {"jupyterhub_environment_strategy": "in_place"} if inject is without_worker and in_place else {}


def _selected(fault: str, task: Task, tasks: list[Task]) -> str:
    """How CI runs it; of tasks that begin alike the last one counts."""
    for (chosen, where), how in SELECTED.items():
        if fault == chosen and task == [each for each in tasks if str(each).startswith(where)][-1:][0]:
            return how
    return ""
