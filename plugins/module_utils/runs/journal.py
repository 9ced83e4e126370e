"""A run: the process that changes a hub now, its progress, and how it ended.

``<state folder>/run.json`` is lock and record in one. It is written before a step of the outage begins and
after each phase has ended, so that the next task, the guard or the next run knows the state, and so that any
process can compose the report from it: see `report`.

Time is counted from the boot (CLOCK_BOOTTIME): that clock cannot be set.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, TypedDict

from ..deployment.model import Deployment, of_format_1
from ..errors import HubError
from ..planning.basis import FailedUpgrade
from ..planning.plan import UPGRADE, Plan, outline, read_plan
from ..shapes import from_dict, to_dict
from ..system import files, state
from ..system.process_records import identity, recorded_in
from ..system.processes import birth
from . import outage_process

#: The hub serves, unchanged.
PREPARING = "preparing"
#: The same, with an active guard.
ARMED = "armed"
#: A step of the outage has begun: the hub may be a mixture of old and new.
OUTAGE = "outage"
#: The new hub serves, and the host has verified it. No controller has accepted it yet.
VERIFIED = "verified"
#: The old hub is being restored.
RESTORING = "restoring"
#: It could not be restored, and no more attempts are made. The hub is held down.
STUCK = "stuck"
#: The new hub serves, for good.
ACCEPTED = "accepted"
#: The old hub serves again.
RESTORED = "restored"
#: Nothing was changed.
ENDED = "ended"

#: Of ``run.json``. The first had no number, and only the results of steps instead of phases.
FORMAT = 2

#: How a phase has ended.
CHANGED, OK, FAILED = "changed", "ok", "failed"

#: Keys of a module's result with lines that the administrator should read.
SEEN = ("errors", "access", "unrecognized", "deprecated")

#: What an outcome's ``ended`` means.
ENDS = {"old": "the old hub serves again", "new": "the new hub serves", "unchanged": "nothing was changed"}

OVER = (ACCEPTED, RESTORED, ENDED)

#: Who has ended a run in which a step of the outage failed.
BY_THE_HOST = "the host"

#: What becomes of a verified new hub that no controller accepts.
KEEP, RESTORE = "keep", "restore"

SECONDS_BETWEEN_HEARTBEATS = 1.0
#: Size of the heartbeat and the lock.
NOTE_BYTES = 80
#: Seconds that a task waits for the lock of another one.
PATIENCE = 30.0


class RunUnderWay(HubError):
    """Another run changes this hub, or was cut off while it did."""

    def __init__(self, folder: Path, run: Run) -> None:
        silent = silence(folder, run)
        if outage_process.is_running(folder):
            heartbeat, hint = "", "The host carries out its outage: wait until that has ended."
        elif silent <= run.confirm_timeout:
            heartbeat = f"Its last heartbeat was {silent:.0f} s ago."
            hint = (
                "Wait until it ends. If it is dead, it counts as such in "
                f"{run.confirm_timeout - silent:.0f} s, or at once with jupyterhub_take_over: {run.id}."
            )
        else:
            heartbeat, hint = "It was cut off.", "Run upgrade.yml: it restores the old hub first."
        # The controller may know that its process has died.
        other = {"id": run.id, "process": run.process, "controller": run.controller}
        super().__init__(
            f"This hub is being changed by another run. {summary(run)} {heartbeat}".rstrip(),
            hint,
            {"other": other},
        )


@dataclass
class Phase:
    """What one phase has done; `Run.phases` has them in the order in which they ended."""

    name: str
    seconds: float
    result: str
    """``changed``, ``ok`` or ``failed``."""
    measured: dict[str, Any] = field(default_factory=dict)
    """What the phase has returned, but for a diff."""
    warnings: list[str] = field(default_factory=list)
    message: str = ""
    """Why it failed."""
    began: float | None = None
    """When, in seconds since the epoch by the host's clock; None where that is not known."""


class Outcome(TypedDict, total=False):
    """How a run ended."""

    ended: str
    """``old``, ``new``, ``unchanged`` or ``neither``."""
    by: str
    at: str
    reason: str
    task: str
    left: list[str]
    """What could not be removed, and why."""
    version: str
    verified: str
    answered_at: float
    changed: bool
    restored: list[str]
    diff: dict[str, str]
    downtime_seconds: float | None


@dataclass
class Run:
    """The content of ``run.json``."""

    id: str
    user: str
    controller: str
    process: str
    command: str
    started: str
    boot: str
    """Boot of the host in which it began, `begun_at` seconds after it."""
    begun_at: float
    confirm_timeout: float
    """Seconds without a heartbeat after which it counts as dead."""
    deployment: Deployment
    plan: Plan | None
    """None for a run that records only what was done, such as a backup."""
    unconfirmed: str = KEEP
    """What becomes of a verified new hub that no controller accepts in that time: ``keep`` or ``restore``."""
    recovery_point: str = ""
    phase: str = PREPARING
    """How it stands: one of the words above."""
    doing: str = ""
    """The step of the outage that has begun and not ended; it may add after a colon how far it is."""
    phases: list[Phase] = field(default_factory=list)
    attempts: int = 0
    failures: int = 0
    """Of the restore."""
    outcome: Outcome = field(default_factory=Outcome)
    reported: bool = False
    """Whether a later run has reported how it ended."""
    continues: str = ""
    """Id of the run that this one completes."""
    format: int = FORMAT

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Run:
        """The run of a ``run.json``, also of one of the first format. Raises HubError for a later format."""
        found = data.get("format", 1)
        if found > FORMAT:
            raise HubError(
                f"Run {data.get('id')} was recorded by a later version of this collection.",
                "Use that version.",
            )
        known = {name: data[name] for name in (each.name for each in fields(cls)) if name in data}
        if found == 1:
            phases = [
                Phase(name, result.get("seconds", 0.0), *_verdict(result))
                for name, result in data["done"].items()
            ]
            known["reported"] = data.get("told", False)
        else:
            phases = [Phase(**phase) for phase in data["phases"]]
        deployment = data["deployment"] if found == FORMAT else of_format_1(data["deployment"])
        known["deployment"] = from_dict(Deployment, deployment)
        known["plan"] = read_plan(data["plan"]) if found == FORMAT else _outline(data["plan"])
        return cls(**{**known, "phases": phases, "format": found})

    def is_of(self, holder: dict[str, Any]) -> bool:
        """Whether it is that controller's; an earlier one's may still be known by its id."""
        return bool(holder.get("process", self.process) == self.process)

    def taken(self, name: str) -> dict[str, Any] | None:
        """What a phase has returned that was taken and has not failed; None where there is none."""
        return next(
            (each.measured for each in self.phases if each.name == name and each.result != FAILED), None
        )

    def measured(self, name: str, key: str) -> str:
        """One of the values that a phase has returned, '' where there is none."""
        return str((self.taken(name) or {}).get(key) or "")

    def record(self, phase: Phase) -> None:
        """Add what a phase has done, in place of what it did before."""
        self.phases = [each for each in self.phases if each.name != phase.name] + [phase]

    @property
    def is_over(self) -> bool:
        return self.phase in OVER

    @property
    def name(self) -> str:
        """Its name in messages: id, user, controller, command."""
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
    return _read(state.run_file(folder), folder)


def recorded(folder: Path, run_id: str) -> Run | None:
    """The run of that id, present or past; None where no record of it is left."""
    run = read(folder)
    return run if run and run.id == run_id else _read(_archive(folder, run_id) / "run.json", folder)


def _read(file: Path, folder: Path) -> Run | None:
    try:
        run = Run.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise HubError(
            f"{file} cannot be read: {error}.",
            "If no upgrade was under way, remove it; else restore the newest recovery point.",
        ) from error
    if run.format < FORMAT and not run.is_over:
        guard = state.guard_folder(folder)
        raise HubError(
            f"Run {run.name} was begun by an earlier version of this collection, and is not over.",
            f"End it on the host with the program that it left there: python3 {guard} restore."
            if guard.is_dir()
            else f"It has not touched the hub: remove {file}.",
        )
    run.format = FORMAT
    return run


def failed_upgrade(folder: Path) -> FailedUpgrade | None:
    """The last upgrade, where the host has undone it since a step of the outage failed; else None.

    One whose hub was not to be stopped yet has caused no outage, and does not count.
    """
    for file in sorted(state.runs_folder(folder).glob("*/run.json"), reverse=True):
        try:
            run = _read(file, folder)
        except HubError:
            continue
        if run is None or run.plan is None or run.plan.action != UPGRADE:
            continue
        outcome = run.outcome
        stopped = any(phase.name == "stop" for phase in run.phases)
        if outcome.get("ended") != "old" or outcome.get("by") != BY_THE_HOST or not stopped:
            return None
        return FailedUpgrade(run.plan.basis, run.id, outcome["at"], outcome["reason"])
    return None


def _archive(folder: Path, run_id: str) -> Path:
    """The folder with the archive of a run."""
    return state.runs_folder(folder) / run_id


def write(folder: Path, run: Run) -> None:
    """Write the record of the run durably; once it is over, also to ``runs/<id>/run.json``."""
    content = (json.dumps(to_dict(run), indent=2) + "\n").encode()
    if run.is_over or run.phase == STUCK:
        keep(folder, run.id, "run.json", content)
    present = read(folder) if run.is_over else None
    # What becomes known of a run later does not take the place of the next one.
    if present is None or present.id == run.id:
        files.write(state.run_file(folder), content)


def keep(folder: Path, run_id: str, name: str, content: bytes) -> Path:
    """Write a file to the archive of a run; its path."""
    archive = _archive(folder, run_id)
    state.make_private(archive)
    files.write(archive / name, content)
    return archive / name


def begin(folder: Path, holder: dict[str, Any], confirm_timeout: float, **what: Any) -> Run:
    """Begin a run, unless another one is under way.

    ``what`` has ``deployment``, ``plan``, the ``phases`` that came before it, and ``unconfirmed``.
    ``holder`` identifies it: ``{user, controller, process, command}``. Raises HubError with the other run.
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


def replan(folder: Path, run_id: str, plan: Plan) -> Run:
    """Have a run follow another plan.

    Raises HubError when the run has left its preparations.
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
    """Whether it is under way, with a heartbeat within its timeout."""
    return not run.is_over and silence(folder, run) <= run.confirm_timeout


def silence(folder: Path, run: Run) -> float:
    """Seconds since the last heartbeat of the run; infinite after a reboot of the host."""
    if run.boot != boot():
        return float("inf")
    try:
        run_id, moment = state.heartbeat_file(folder).read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return now() - run.begun_at
    return now() - (float(moment) if run_id == run.id else run.begun_at)


def beat(folder: Path, run: Run) -> None:
    """Write a heartbeat, without a sync: a reboot ends the run anyway."""
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
    """Overwrite a file, always with the same number of bytes, which works on a full disk."""
    os.pwrite(descriptor, text.ljust(NOTE_BYTES).encode(), 0)


@contextlib.contextmanager
def alive(folder: Path, run: Run, progress: Callable[[], Any] | None = None) -> Iterator[None]:
    """Beat within the block, every second; with ``progress`` only while its value changes."""
    ended = threading.Event()

    def keep_on() -> None:
        before: Any = None
        while not ended.wait(SECONDS_BETWEEN_HEARTBEATS):
            value = progress() if progress else time.monotonic()
            if value != before:
                before = value
                beat(folder, run)

    beat(folder, run)
    thread = threading.Thread(target=keep_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def prepare(folder: Path, run_id: str, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Prepare something for the outage, as a phase of a run; its result.

    It holds the hub's lock and writes heartbeats meanwhile. A run that has come to its outage gets the
    recorded result. Without ``run_id``, raises HubError when a run is under way, whose preparations it would
    replace.
    """
    if not run_id and not folder.is_dir():
        return work()
    with lock(folder):
        if not run_id:
            require_none(folder)
            return work()
        run = mine(folder, run_id)
        taken = run.taken(name) if run.phase in (OUTAGE, VERIFIED) else None
        if taken is not None:
            return {**taken, "changed": False}
        with alive(folder, run), recording(folder, run, name) as measured:
            measured.update(work())
        return measured


@contextlib.contextmanager
def recording(folder: Path, run: Run, name: str) -> Iterator[dict[str, Any]]:
    """Record a phase of a run: its seconds, and the result that is put into the dict, or why it failed."""
    began, moment = time.monotonic(), time.time()
    result: dict[str, Any] = {}
    try:
        yield result
    except HubError as error:
        run.record(Phase(name, _since(began), FAILED, message=str(error), began=moment))
        # On a full disk the record stays as it was; the error is still raised.
        with contextlib.suppress(HubError, OSError):
            write(folder, run)
        raise
    run.doing = ""
    run.record(Phase(name, _since(began), *_verdict(result), _warnings(result), began=moment))
    write(folder, run)


def phase_of(name: str, result: dict[str, Any]) -> Phase:
    """A phase by what its module has returned."""
    return Phase(
        name, result.get("seconds", 0.0), *_verdict(result), _warnings(result), result.get("msg", "")
    )


def _outline(plan: dict[str, Any]) -> Plan | None:
    """The outline of a plan of the first format: its run is over."""
    return outline(*(plan[key] for key in ("action", "from_version", "to_version"))) if plan else None


def _verdict(result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """How a phase has ended, and what it has measured."""
    verdict = FAILED if result.get("failed") else CHANGED if result.get("changed") else OK
    return verdict, {key: value for key, value in result.items() if key != "diff"}


def _warnings(result: dict[str, Any]) -> list[str]:
    return [line for kind in ("warnings", *SEEN) for line in result.get(kind) or []]


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


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
        taken = None if again else run.taken(name)
        if taken is not None:
            beat(folder, run)
            return {**taken, "changed": False}
        run.phase, run.doing = OUTAGE, name
        write(folder, run)
        with recording(folder, run, name) as result, alive(folder, run, progress):
            result.update(action())
        return result


def tell(folder: Path, run_id: str, name: str, line: str) -> None:
    """Say in the record how far the step is that is under way, for whoever waits; by the step itself."""
    run = mine(folder, run_id)
    run.doing = f"{name}: {line}"
    write(folder, run)


def mark_verified(folder: Path, run_id: str) -> None:
    """Record that the new hub serves and is verified. Raises HubError as `step`."""
    with lock(folder):
        run = mine(folder, run_id)
        require_in_time(folder, run)
        run.phase = VERIFIED
        beat(folder, run)
        write(folder, run)


def mark_reported(folder: Path, run: Run) -> None:
    """Record that a controller has been told how a run ended."""
    run.reported = True
    write(folder, run)


def mine(folder: Path, run_id: str) -> Run:
    """The run of that id. Raises HubError, with how it ended, when it is not under way any more."""
    run = read(folder)
    if run is None or run.id != run_id:
        by = f" Run {run.name} came after it." if run else ""
        raise HubError(f"Run {run_id} is not under way any more.{by}", "Run the playbook again.")
    if run.is_over:
        raise HubError(f"This run came too late. {summary(run)}", "Run the playbook again.")
    return run


def require_none(folder: Path) -> None:
    """Raise HubError when a run is under way or was cut off."""
    run = read(folder)
    if run and not run.is_over:
        raise RunUnderWay(folder, run)


def require_in_time(folder: Path, run: Run) -> None:
    """Raise HubError when the guard does not watch the run, has taken over, or is about to."""
    if run.phase == PREPARING:
        raise HubError("No guard watches this run.", "Arm it before the outage begins.")
    if run.phase in (RESTORING, STUCK):
        raise HubError(f"This run came too late. {summary(run)}", "Run the playbook again.")
    silent = silence(folder, run)
    if silent > run.confirm_timeout:
        raise HubError(
            f"This run came too late: it had no heartbeat for {silent:.0f} s, and after "
            f"{run.confirm_timeout:.0f} s the guard restores the old hub.",
            "Run the playbook again; a longer jupyterhub_confirm_timeout gives it more time.",
        )


def summary(run: Run) -> str:
    """The state or the end of a run, in one or two sentences."""
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
        return f"is being undone (attempt {run.attempts})"
    if run.phase == VERIFIED:
        return "has a new hub that is verified and not accepted yet"
    if run.doing:
        return f"is at '{run.doing}'"
    return (
        f"has done '{run.phases[-1].name}'"
        if run.phase == OUTAGE and run.phases
        else "is at its preparations"
    )


def finish(folder: Path, run: Run, phase: str, outcome: Outcome) -> None:
    """Record how a run ended."""
    run.phase, run.doing = phase, ""
    run.outcome = {"at": datetime.now(timezone.utc).isoformat(timespec="seconds"), **outcome}
    write(folder, run)


@contextlib.contextmanager
def lock(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the hub's lock; the kernel releases it when the process ends, however it ends.

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
                        f"Process {lock_holder(folder) or '?'} holds the lock of this hub.",
                        "Wait until it has ended.",
                    ) from None
                time.sleep(0.02)
        _note(descriptor, identity())
        try:
            yield
        finally:
            _note(descriptor, "")


def lock_holder(folder: Path) -> int | None:
    """The process that holds the lock, or None."""
    return recorded_in(state.lock_file(folder))
