"""A run: who changes a hub now, how far it has come, and how it ended.

``<state folder>/run.json`` is lock and journal in one. It is written before a step begins and after it has
ended, so that whoever comes next (the next task, the guard, the next run) knows where the last one was.

    id, user, controller, process, command, started     who, from where, when
    boot, begun_at                                       boot of the host, and seconds since then
    confirm_timeout                                      seconds without a sign of life that it may take
    deployment, plan, recovery_point                     what it changes, how, and the way back
    phase                                                one of the words below
    doing, done                                          the step under way; each step's result
    attempts, failures                                   of the way back
    outcome                                              {ended: old|new|unchanged|neither, by, at, ...}
    reported                                             whether a later run has said so
    continues                                            id of the run that this one completes

Time is counted from the boot (CLOCK_BOOTTIME): nobody can set that clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

from ..deployment.model import Deployment
from ..errors import HubError
from ..shapes import from_dict, to_dict
from ..system import files, state
from ..system.processes import birth, is_alive

#: The hub serves, and nothing of it has been touched.
PREPARING = "preparing"
#: The same, and the guard watches.
ARMED = "armed"
#: A step of the outage has begun: the hub may be a mixture of old and new.
OUTAGE = "outage"
#: The old hub is being put back.
RESTORING = "restoring"
#: It could not be put back, and nobody tries any more. The hub is held down.
STUCK = "stuck"
#: The new hub serves, for good.
ACCEPTED = "accepted"
#: The old hub serves again.
RESTORED = "restored"
#: Nothing was changed.
ENDED = "ended"

#: What an outcome's ``ended`` means.
ENDS = {"old": "the old hub serves again", "new": "the new hub serves", "unchanged": "nothing was changed"}

OVER = (ACCEPTED, RESTORED, ENDED)

SECONDS_BETWEEN_SIGNS = 1.0
#: Of the files that say who is alive, and whose turn it is.
NOTE_BYTES = 80
#: How long a task waits for another one to be done with the hub.
PATIENCE = 30.0


class RunUnderWay(HubError):
    """Another run changes this hub, or was cut off while it did."""

    def __init__(self, folder: Path, run: Run) -> None:
        silent = silence(folder, run)
        if silent <= run.confirm_timeout:
            heard = f"Something was heard of it {silent:.0f} s ago."
            hint = (
                "Wait for it. Should it be dead, it counts as such in "
                f"{run.confirm_timeout - silent:.0f} s, and at once with jupyterhub_take_over: {run.id}."
            )
        else:
            heard, hint = "It was cut off.", "Run upgrade.yml: it puts the old hub back first."
        super().__init__(f"This hub is being changed by another run. {summary(run)} {heard}", hint)
        self.run = run


@dataclass
class Run:
    """What ``run.json`` says."""

    id: str
    user: str
    controller: str
    process: str
    command: str
    started: str
    boot: str
    begun_at: float
    confirm_timeout: float
    deployment: Deployment
    plan: dict[str, Any]
    recovery_point: str = ""
    phase: str = PREPARING
    doing: str = ""
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: int = 0
    failures: int = 0
    outcome: dict[str, Any] = field(default_factory=dict)
    reported: bool = False
    continues: str = ""

    @property
    def is_over(self) -> bool:
        return self.phase in OVER

    @property
    def name(self) -> str:
        """How to speak of it: id, who, from where."""
        return f"{self.id} ({self.user} on {self.controller}, `{self.command}`)"


def boot() -> str:
    """Which boot of this host it is.

    The kernel's own id stays the same when a container is started again; its first process does not.
    """
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{birth(1)}"


def now() -> float:
    """Seconds since the host was booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read(folder: Path) -> Run | None:
    """The present or last run of a hub, by its state folder; None where there was none."""
    try:
        return from_dict(Run, json.loads(state.run_file(folder).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, HubError) as error:
        raise HubError(
            f"{state.run_file(folder)} cannot be read: {error}.",
            "If no upgrade was under way, remove it; else restore the newest recovery point.",
        ) from error


def write(folder: Path, run: Run) -> None:
    """Keep what is known of the run, durably. Once it is over, for good: in ``runs/<id>/run.json``."""
    content = (json.dumps(to_dict(run), indent=2) + "\n").encode()
    if run.is_over or run.phase == STUCK:
        archive = state.runs_folder(folder) / run.id
        state.make_private(archive)
        files.write(archive / "run.json", content)
    files.write(state.run_file(folder), content)


def begin(folder: Path, holder: dict[str, Any], confirm_timeout: float, **what: Any) -> Run:
    """Begin a run, unless another one is under way. ``what`` has ``deployment`` and ``plan``.

    ``holder`` says who: ``{user, controller, process, command}``. Raises HubError that names the other run.
    """
    state.make_private(folder)
    with lock(folder):
        other = read(folder)
        if other and not other.is_over:
            raise RunUnderWay(folder, other)
        started = datetime.now(timezone.utc)
        run = Run(
            id=new_id(started),
            started=started.isoformat(timespec="seconds"),
            boot=boot(),
            begun_at=now(),
            confirm_timeout=confirm_timeout,
            **holder,
            **what,
        )
        beat(folder, run)
        write(folder, run)
        return run


def replan(folder: Path, run_id: str, plan: dict[str, Any]) -> Run:
    """Have a run follow another plan.

    Raises HubError when the run is not at its preparations any more.
    """
    with lock(folder):
        run = mine(folder, run_id)
        if run.phase != PREPARING:
            raise HubError(f"Run {run.name} {_stands(run)}: its plan stands.", "Run the playbook again.")
        run.plan = plan
        beat(folder, run)
        write(folder, run)
        return run


def new_id(started: datetime) -> str:
    """A name that sorts by age, and that no two runs of a hub share."""
    return f"{started:%Y%m%dT%H%M%S.%f}Z"


def is_live(folder: Path, run: Run) -> bool:
    """Whether something of it was heard of lately."""
    return not run.is_over and silence(folder, run) <= run.confirm_timeout


def silence(folder: Path, run: Run) -> float:
    """Seconds since something was heard of the run; endless once the host was booted anew."""
    if run.boot != boot():
        return float("inf")
    try:
        run_id, moment = state.heartbeat_file(folder).read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return now() - run.begun_at
    return now() - (float(moment) if run_id == run.id else run.begun_at)


def beat(folder: Path, run: Run) -> None:
    """Say that the run is alive. Not worth a sync: a reboot ends the run anyway."""
    with _opened(state.heartbeat_file(folder)) as descriptor:
        _note(descriptor, f"{run.id} {now()}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _note(descriptor: int, text: str) -> None:
    """Write over what a file says, always as many bytes: a disk that has become full has room for that."""
    os.pwrite(descriptor, text.ljust(NOTE_BYTES).encode(), 0)


@contextlib.contextmanager
def alive(folder: Path, run: Run, progress: Callable[[], Any] | None = None) -> Iterator[None]:
    """Give signs of life within the block, every second; with ``progress`` only while its value changes."""
    ended = threading.Event()

    def keep_on() -> None:
        before: Any = None
        while not ended.wait(SECONDS_BETWEEN_SIGNS):
            seen = progress() if progress else time.monotonic()
            if seen != before:
                before = seen
                beat(folder, run)

    beat(folder, run)
    thread = threading.Thread(target=keep_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def preparing(folder: Path, run_id: str) -> Iterator[None]:
    """Have the hub to oneself and the run alive while a task gets something ready.

    Without a run, raises HubError when one is under way: what it has got ready would be taken from it.
    """
    if not run_id and not folder.is_dir():
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock(folder))
        if run_id:
            stack.enter_context(alive(folder, mine(folder, run_id)))
        else:
            require_none(folder)
        yield


def step(
    folder: Path,
    run_id: str,
    name: str,
    action: Callable[[], dict[str, Any]],
    *,
    progress: Callable[[], Any] | None = None,
    again: bool = False,
) -> dict[str, Any]:
    """Take one step of an outage, and record it; return its result.

    A step that this run has taken already is answered with its record, unless it may be taken ``again``.
    Without ``run_id`` the step stands alone, which is refused while a run is under way. ``progress`` as in
    `alive`.

    Raises HubError when the run is over, another one is under way, or this one comes too late.
    """
    state.make_private(folder)
    with lock(folder):
        if not run_id:
            require_none(folder)
            return action()
        run = mine(folder, run_id)
        require_in_time(folder, run)
        if name in run.done and not again:
            beat(folder, run)
            return {**run.done[name], "changed": False}
        run.phase, run.doing = OUTAGE, name
        write(folder, run)
        with alive(folder, run, progress):
            result = action()
        run.done[name] = {key: value for key, value in result.items() if key != "diff"}
        run.doing = ""
        write(folder, run)
        return result


def mine(folder: Path, run_id: str) -> Run:
    """The run of that id. Raises HubError that says what has become of it when it is under way no more."""
    run = read(folder)
    if run is None or run.id != run_id:
        by = f" Run {run.name} came after it." if run else ""
        raise HubError(f"Run {run_id} is not under way any more.{by}", "Run the playbook again.")
    if run.is_over:
        raise HubError(f"This run came too late. {summary(run)}", "Run the playbook again.")
    return run


def require_none(folder: Path) -> None:
    """Raise HubError when a run is under way that was not brought to its end."""
    run = read(folder)
    if run and not run.is_over:
        raise RunUnderWay(folder, run)


def require_in_time(folder: Path, run: Run) -> None:
    """Raise HubError when the guard does not watch over the run, has taken over, or is about to."""
    if run.phase == PREPARING:
        raise HubError("No guard watches over this run.", "Arm it before the outage begins.")
    if run.phase in (RESTORING, STUCK):
        raise HubError(f"This run came too late. {summary(run)}", "Run the playbook again.")
    silent = silence(folder, run)
    if silent > run.confirm_timeout:
        raise HubError(
            f"This run came too late: nothing was heard of it for {silent:.0f} s, and after "
            f"{run.confirm_timeout:.0f} s the guard puts the old hub back.",
            "Run the playbook again; a longer jupyterhub_confirm_timeout gives it more time.",
        )


def summary(run: Run) -> str:
    """What has become of a run, in one sentence or two."""
    name = f"Run {run.name}, begun {run.started},"
    outcome = run.outcome
    if run.phase == STUCK:
        return f"{name} could not be undone: {outcome['reason']} The hub is held down."
    if not outcome:
        return f"{name} {_stands(run)}."
    why = f" ({outcome['reason']})" if outcome.get("reason") else ""
    return f"{name} was ended by {outcome['by']} at {outcome['at']}{why}: {ENDS[outcome['ended']]}."


def _stands(run: Run) -> str:
    if run.phase == RESTORING:
        return f"is being undone, for the {run.attempts}. time"
    if run.doing:
        return f"is at '{run.doing}'"
    return f"has done '{list(run.done)[-1]}'" if run.done else "is at its preparations"


def finish(folder: Path, run: Run, phase: str, **outcome: Any) -> None:
    """Record how a run ended."""
    run.phase, run.doing = phase, ""
    run.outcome = {"at": datetime.now(timezone.utc).isoformat(timespec="seconds"), **outcome}
    write(folder, run)


@contextlib.contextmanager
def lock(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Have the hub to oneself; the kernel ends that with the process, however it ends.

    Raises HubError when another process does not end within ``patience`` seconds.
    """
    with _opened(state.lock_file(folder)) as descriptor:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HubError(
                        f"Process {lock_holder(folder) or '?'} works on this hub at this moment.",
                        "Wait until it has ended.",
                    ) from None
                time.sleep(0.02)
        _note(descriptor, f"{os.getpid()} {birth(os.getpid())}")
        try:
            yield
        finally:
            _note(descriptor, "")


def lock_holder(folder: Path) -> int | None:
    """The process that has its turn with the hub, None where none has."""
    try:
        pid, born = state.lock_file(folder).read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if is_alive(int(pid)) and birth(int(pid)) == born else None
