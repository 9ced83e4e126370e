"""The controller dies, hangs or loses its connection to the host; the host loses its power; a worker dies."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from .attempt import Attempt, NotInjected
from .host import OVER
from .row import BRIEF, CONFIRM_SECONDS, NEW, OLD, RESTORE_SECONDS, WHOLE, Fault, Row
from .tasks import (
    IN_PLACE,
    MIGRATE,
    START,
    STEPS,
    STOP,
    SWITCH,
    VERIFY,
    Moment,
    Task,
    is_arming,
    is_outage,
    moments,
)

Inject = Callable[[Row, Moment], None]
#: Messages of a run that continues too late.
TOO_LATE = re.compile(r"came too late|not under way any more|came after it")
#: And of one whose new hub the guard has kept.
KEPT = re.compile(r"The new hub was accepted already, by the guard")
WORKER_DELAY_SECONDS = 0.01
#: How long a module may take to begin its step, where it takes one.
MODULE_SECONDS = 0.6
#: How long after the start of a step a random fault comes at the latest; only starting the hub takes longer.
SHORTLY_SECONDS = 3


def begun(row: Row, moment: Moment) -> Attempt:
    """An upgrade that has come to this moment, and waits there."""
    attempt = row.upgrade()
    row.go_to(attempt, moment)
    return attempt


def killed(row: Row, moment: Moment) -> None:
    """Its connection to the host ends with it."""
    attempt = begun(row, moment)
    attempt.signal(signal.SIGKILL)
    row.host.end_session()
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
    if row.fault.unattended:
        row.let_confirm_timeout_pass()
    if guarded:
        row.host.wait_until_phase(OVER, CONFIRM_SECONDS + RESTORE_SECONDS)
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


def without_module(row: Row, moment: Moment) -> None:
    """The process of a task's module is killed."""
    attempt = begun(row, moment)
    with row.host.killing_module(WORKER_DELAY_SECONDS, MODULE_SECONDS) as outcome:
        attempt.go_to(lambda _next: True)
    if outcome["killed"] is None:
        raise NotInjected(f"no process of {moment} was met")
    attempt.end()


def without_program(row: Row, moment: Moment) -> None:
    """The program of the outage is killed between two steps."""
    attempt = begun(row, moment)
    row.host.kill_program()
    row.require(attempt.end() != 0, "a run without its outage ends green")


def without_program_and_guard(row: Row, moment: Moment) -> None:
    attempt = begun(row, moment)
    row.host.kill_guard()
    row.host.kill_program()
    row.require(attempt.end() != 0, "a run without its outage ends green")


def without_guard(row: Row, moment: Moment) -> None:
    """The guard is killed while the outage goes on: systemd starts it again, and nothing is restored."""
    attempt = begun(row, moment)
    row.host.kill_guard()
    row.go_on()
    row.require(attempt.end() == 0, f"the run fails: {attempt.last_message()}")


def in_step(what: str) -> Inject:
    """Something is killed in the middle of a step."""

    def inject(row: Row, moment: Moment) -> None:
        attempt = begun(row, moment)
        with row.host.killing_in(str(moment), what, WORKER_DELAY_SECONDS) as outcome:
            row.go_on()
        if outcome["killed"] is None:
            raise NotInjected(f"no process of {moment} was met")
        status = attempt.end()
        new = row.host.run().get("phase") == "accepted"
        row.require((status == 0) == new, f"the run ends with status {status}: {attempt.last_message()}")

    return inject


def without_power_in(row: Row, moment: Moment) -> None:
    """The same in the middle of a step: its program does not move any more until the power is cut."""
    attempt = begun(row, moment)
    with row.host.killing_in(str(moment), "freeze", WORKER_DELAY_SECONDS) as outcome:
        row.go_on()
    if outcome["killed"] is None:
        raise NotInjected(f"the host was not met in {moment}")
    row.hub.cut_power()
    row.hub.boot()
    row.require(attempt.end() != 0, "a run whose host was restarted ends green")


@dataclass(frozen=True)
class Kind:
    """A fault that may occur at any moment of the outage."""

    fault: str
    inject: Inject
    #: How it ends in the outage; before it the old hub stays, and after it the new one.
    ends: tuple[str, ...]
    when: str = "at the start of"
    #: Which moments it is for; the step of an upgrade in place is left out where the new hub has to be known.
    has: Callable[[Moment], bool] = lambda moment: True
    #: How it ends once the host has verified the new hub.
    ends_last: tuple[str, ...] = (NEW,)

    @property
    def is_of_the_controller(self) -> bool:
        """Whether the host itself does not notice."""
        return self.inject in (killed, interrupted, frozen, cut_off)


def _is_step(moment: Moment) -> bool:
    return isinstance(moment, str)


def _is_one_of(*steps: str) -> Callable[[Moment], bool]:
    return lambda moment: moment in steps


IN = "in the middle of"
KILLED = "ansible-playbook killed (SIGKILL)"
POWER_CUT = "power cut, and the run continues"
PROGRAM_KILLED = "program of the outage killed"
KINDS = (
    Kind(KILLED, killed, (NEW,)),
    Kind("ansible-playbook interrupted (SIGINT)", interrupted, (NEW,)),
    Kind("controller frozen, and late", frozen, (NEW,)),
    Kind("host not reachable any more", cut_off, (NEW,)),
    Kind(POWER_CUT, without_power, (OLD,)),
    Kind("power cut in the step, and the run continues", without_power_in, (OLD,), IN, _is_step),
    Kind(PROGRAM_KILLED, without_program, (OLD,), has=_is_step),
    Kind("program of the outage killed in the step", in_step("program"), (OLD,), IN, _is_step),
    Kind("program and guard killed", without_program_and_guard, (OLD,), has=_is_step),
    Kind("guard killed", without_guard, (NEW,), has=_is_step),
    Kind(
        "processes that the program has started killed",
        in_step("workers"),
        (OLD, NEW),
        IN,
        _is_one_of(MIGRATE, START, VERIFY),
    ),
    Kind("hub killed", in_step("hub"), (OLD, NEW), IN, _is_one_of(STOP, START, VERIFY)),
    Kind(
        "module killed",
        without_module,
        (OLD,),
        IN,
        # That of the outage only waits for the program.
        lambda moment: isinstance(moment, Task) and not is_outage(moment),
        # It may have accepted the new hub, or failed and had it undone.
        ends_last=(OLD, NEW),
    ),
)
#: For CI: those that differ most in what they leave behind.
SELECTED = {
    (KILLED, START): BRIEF,
    (KILLED, "hub_guard : accept"): BRIEF,
    ("controller frozen, and late", MIGRATE): BRIEF,
    (POWER_CUT, SWITCH): BRIEF,
    ("program of the outage killed in the step", SWITCH): WHOLE,
}


def at_each_moment(tasks: list[Task]) -> Iterator[Fault]:
    """Each of these faults at each task around the outage, and at each of its steps."""
    for kind in KINDS:
        for moment in moments(tasks):
            if not kind.has(moment) or (moment == IN_PLACE and kind.ends != (OLD,)):
                continue
            yield Fault(
                kind.fault,
                f"{kind.when} {moment}",
                _at(kind.inject, moment),
                ends=_ends(kind, moment, tasks),
                variables={"jupyterhub_environment_strategy": "in_place"} if moment == IN_PLACE else {},
                selected=_selected(kind.fault, moment),
                # That the same upgrade succeeds afterwards is shown once for each.
                heals=moment == SWITCH or not (_is_step(moment) or moment == tasks[-1]),
                prepared=is_prepared(moment, tasks),
                unattended=kind.is_of_the_controller and _is_step(moment),
            )
    yield Fault(
        KILLED,
        "before the acceptance, where it must be confirmed",
        _at(killed, tasks[-1]),
        variables={"jupyterhub_unconfirmed": "restore"},
    )
    yield Fault(KILLED, "after the acceptance", _at(killed_after, tasks[-1]), ends=(NEW,), prepared=True)


def is_prepared(moment: Moment, tasks: list[Task]) -> bool:
    """Whether all that comes before this moment is the same for each fault, and needs no run of its own."""
    return moment == tasks[-1] or (_is_step(moment) and moment != IN_PLACE)


def at_random(count: int, seed: int) -> Iterator[Fault]:
    """So many faults, each at any moment of the outage: shortly after the start of one of its steps."""
    chance = random.Random(seed)
    for _number in range(count):
        what = chance.choice([KILLED, POWER_CUT, PROGRAM_KILLED])
        step = chance.choice([step for step in STEPS if step != IN_PLACE])
        seconds = round(chance.uniform(0, SHORTLY_SECONDS), 3)
        yield Fault(
            f"{what} (seed {seed})",
            f"{seconds:.3f} s after the start of {step}",
            _after(what, step, seconds),
            ends=(OLD, NEW),
            heals=False,
            prepared=True,
            unattended=what == KILLED,
        )


def _after(what: str, step: str, seconds: float) -> Callable[[Row], None]:
    def inject(row: Row) -> None:
        attempt = begun(row, step)
        row.go_on()
        time.sleep(seconds)
        if what == KILLED:
            attempt.signal(signal.SIGKILL)
            row.host.end_session()
        elif what == POWER_CUT:
            row.hub.cut_power()
            row.hub.boot()
        else:
            # It may be over.
            with contextlib.suppress(RuntimeError):
                row.host.kill_program()
        attempt.end()

    return inject


def _at(inject: Inject, moment: Moment) -> Callable[[Row], None]:
    return lambda row: inject(row, moment)


def _ends(kind: Kind, moment: Moment, tasks: list[Task]) -> tuple[str, ...]:
    if isinstance(moment, str):
        # The host completes what it has begun, whatever becomes of the controller.
        return kind.ends
    if moment == tasks[-1]:
        # The host has verified the new hub.
        return kind.ends_last
    # Before the outage; where no guard is armed yet, no other process takes over.
    return (NEW,) if kind.inject is frozen and is_arming(moment) else (OLD,)


def _selected(fault: str, moment: Moment) -> str:
    """How CI runs it."""
    found = (
        how for (chosen, where), how in SELECTED.items() if fault == chosen and str(moment).startswith(where)
    )
    return next(found, "")
