"""The controller dies, hangs or loses its connection to the host; the host loses its power; a worker dies."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from typing import Callable

from .attempt import Attempt, NotInjected
from .host import OVER
from .reference import Reference
from .row import BRIEF, CONFIRM_SECONDS, NEW, OLD, RESTORE_SECONDS, WHOLE, Fault, Row
from .tasks import IN_PLACE, MIGRATE, START, SWITCH, Moment, Task, is_arming, is_outage, moments

Inject = Callable[[Row, Moment], None]
#: Messages of a run that continues too late.
TOO_LATE = re.compile(r"came too late|not under way any more|came after it")
#: And of one whose new hub the guard has kept.
KEPT = re.compile(r"The new hub was accepted already, by the guard")
WORKER_DELAY_SECONDS = 0.01
#: How long a module may take to begin its step, where it takes one.
MODULE_SECONDS = 0.6


def begun(row: Row, moment: Moment) -> Attempt:
    """An upgrade that has come to this moment, and waits there."""
    attempt = row.upgrade()
    row.go_to(attempt, moment)
    return attempt


def killed(row: Row, moment: Moment) -> None:
    attempt = begun(row, moment)
    attempt.signal(signal.SIGKILL)
    row.go_on()
    attempt.end()


def killed_after(row: Row, moment: Moment) -> None:
    """There is no reason for a rollback: the new hub is kept, and the next run reports that."""
    attempt = begun(row, moment)
    attempt.go_to(lambda _next: True)
    attempt.signal(signal.SIGKILL)
    attempt.end()


def interrupted(row: Row, moment: Moment) -> None:
    attempt = begun(row, moment)
    attempt.signal(signal.SIGINT)
    row.go_on()
    row.require(attempt.end() != 0, "a run that was interrupted ends green")


def frozen(row: Row, moment: Moment) -> None:
    """The controller is frozen until the guard has ended the run: the late run must notice."""
    attempt = begun(row, moment)
    guarded = row.host.run().get("phase") != "preparing"
    attempt.signal(signal.SIGSTOP)
    row.go_on()
    if guarded:
        row.host.wait_until(
            lambda: row.host.run().get("phase") in OVER, "the guard", CONFIRM_SECONDS + RESTORE_SECONDS
        )
    kept = row.host.run().get("phase") == "accepted"
    attempt.signal(signal.SIGCONT)
    status = attempt.end()
    if guarded:
        row.require((status == 0) == kept, f"a late run ends with status {status}")
        told = KEPT if kept else TOO_LATE
        row.require(told.search(attempt.output()), f"message of a late run: {attempt.last_message()}")


def cut_off(row: Row, moment: Moment) -> None:
    """The host cannot be reached under its name any more; everything on it continues."""
    attempt = begun(row, moment)
    row.hub.rename(f"{row.hub.container}-moved")
    row.go_on()
    row.require(attempt.end() != 0, "a run that has lost its host ends green")


def without_power(row: Row, moment: Moment) -> None:
    """The host is started again at once, and the run continues."""
    attempt = begun(row, moment)
    verified = row.host.run().get("phase") == "verified"
    row.hub.cut_power()
    row.hub.boot()
    status = attempt.end()
    row.require((status == 0) == verified, f"a run whose host was restarted ends with status {status}")


def without_worker(row: Row, moment: Moment) -> None:
    """The process on the host is killed: that of a task's module, or the program of the outage."""
    attempt = begun(row, moment)
    if isinstance(moment, Task):
        with row.host.killing_module(WORKER_DELAY_SECONDS, MODULE_SECONDS) as outcome:
            attempt.go_to(lambda _next: True)
    else:
        with row.host.killing_program(moment, WORKER_DELAY_SECONDS) as outcome:
            row.go_on()
    if outcome["killed"] is None:
        raise NotInjected(f"no process of {moment} was met")
    status = attempt.end()
    row.require(status != 0 or isinstance(moment, Task), "a run without its outage ends green")


AT_EACH_MOMENT: dict[str, tuple[Inject, str]] = {
    "ansible-playbook killed (SIGKILL)": (killed, "at the start of"),
    "ansible-playbook interrupted (SIGINT)": (interrupted, "at the start of"),
    "controller frozen, and late": (frozen, "at the start of"),
    "host not reachable any more": (cut_off, "at the start of"),
    "power cut, and the run continues": (without_power, "at the start of"),
    "worker killed": (without_worker, "in the middle of"),
}
#: Those that the host itself does not notice.
OF_THE_CONTROLLER = (killed, interrupted, frozen, cut_off)
#: For CI: those that differ most in what they leave behind.
SELECTED = {
    ("ansible-playbook killed (SIGKILL)", START): BRIEF,
    ("ansible-playbook killed (SIGKILL)", "hub_guard : accept"): BRIEF,
    ("controller frozen, and late", MIGRATE): BRIEF,
    ("power cut, and the run continues", SWITCH): BRIEF,
    ("worker killed", SWITCH): WHOLE,
}


def at_each_moment(tasks: list[Task]) -> Iterator[Fault]:
    """Each of these faults at each task around the outage, and at each of its steps."""
    for fault, (inject, when) in AT_EACH_MOMENT.items():
        for moment in moments(tasks):
            if inject is without_worker and isinstance(moment, Task) and is_outage(moment):
                # Its module only waits for the program, which is killed in each of its steps.
                continue
            if moment == IN_PLACE and inject in OF_THE_CONTROLLER:
                # What they leave is as after any other step, and the new hub not the one of the reference.
                continue
            yield Fault(
                fault,
                f"{when} {moment}",
                _at(inject, moment),
                ends=_ends(inject, moment, tasks),
                variables={"jupyterhub_environment_strategy": "in_place"} if moment == IN_PLACE else {},
                selected=_selected(fault, moment),
            )
    yield Fault(
        "ansible-playbook killed (SIGKILL)",
        "before the acceptance, where it must be confirmed",
        _at(killed, tasks[-1]),
        variables={"jupyterhub_unconfirmed": "restore"},
    )
    yield Fault(
        "ansible-playbook killed (SIGKILL)", "after the acceptance", _at(killed_after, tasks[-1]), ends=(NEW,)
    )


def at_random(count: int, seed: int, tasks: list[Task], reference: Reference) -> Iterator[Fault]:
    """So many faults, each at any moment of the outage."""
    chance = random.Random(seed)
    longest = sum(reference.seconds(task) for task in tasks)
    for _number in range(count):
        what = chance.choice(["killed", "power cut", "program of the outage killed"])
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
        else:
            row.host.kill_program()
        attempt.end()

    return inject


def _at(inject: Inject, moment: Moment) -> Callable[[Row], None]:
    return lambda row: inject(row, moment)


def _ends(inject: Inject, moment: Moment, tasks: list[Task]) -> tuple[str, ...]:
    if isinstance(moment, str):
        # The host completes what it has begun, whatever becomes of the controller.
        return (NEW,) if inject in OF_THE_CONTROLLER else (OLD,)
    if moment == tasks[-1]:
        # The host has verified the new hub. A worker may have accepted it, or failed and had it undone.
        return (OLD, NEW) if inject is without_worker else (NEW,)
    # Before the outage; where no guard is armed yet, no other process takes over.
    return (NEW,) if inject is frozen and is_arming(moment) else (OLD,)


def _selected(fault: str, moment: Moment) -> str:
    """How CI runs it."""
    found = (
        how for (chosen, where), how in SELECTED.items() if fault == chosen and str(moment).startswith(where)
    )
    return next(found, "")
