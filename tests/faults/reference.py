"""What a good upgrade looks like: kept under ``build/faults`` for each state of code and image."""

from __future__ import annotations

import fcntl
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from tests.testbed import Hub
from tests.testbed.hub import REPOSITORY
from tests.testbed.images import image

from .attempt import Attempt
from .checkout import IMAGE, digest
from .ledger import Ledger, without_ledger
from .tasks import Task

TARGET = "6.1.1"
VARIABLES: dict[str, Any] = {
    "jupyterhub_version": TARGET,
    "jupyterhub_confirm_timeout": 15,
    # How long a new hub is watched before it is kept; no fault but one needs more.
    "jupyterhub_watch_seconds": 2,
    # The faults are for what it lets pass; a row of their own is about those that it finds.
    "jupyterhub_rehearse": False,
}
CACHE = REPOSITORY / "build/faults"
#: Where a row finds the environments that the good upgrade has staged, and where they belong.
STAGED = "/mnt/staged"
PLACE = "/opt"
#: The locks of the references that this process uses, which keep others from removing them.
_IN_USE: dict[Path, TextIO] = {}


@dataclass(frozen=True)
class Reference:
    """The hub after a good upgrade, and what that has taken."""

    fingerprint: dict[str, Any]
    #: Seconds of each task until the next one, in order: ``[[name, number, seconds]]``.
    tasks: list[list[Any]]
    staged: str

    def begun(self) -> list[Task]:
        """The tasks in their order."""
        return [Task(name, number) for name, number, _seconds in self.tasks]

    def seconds(self, task: Task) -> float:
        return next(seconds for name, number, seconds in self.tasks if (name, number) == task)


def fingerprint(hub: Hub) -> dict[str, Any]:
    """The hub's fingerprint without what the ledger has written."""
    from tests.testbed import rows

    found = hub.fingerprint()
    found["database"].update(rows.fingerprint(without_ledger(hub.rows())))
    return found


def start(reference: Reference | None = None) -> Hub:
    """A hub with the good upgrade's staged environments at hand."""
    options = ("--volume", f"{reference.staged}:{STAGED}:ro") if reference else ()
    return Hub.start(IMAGE, options=options)


def lay_out_staged(hub: Hub) -> None:
    """Put the staged environments where staging would: the upgrade finds them there."""
    hub.exec(["cp", "-a", f"{STAGED}/.", PLACE])


def reference(checkout: Path) -> Reference:
    """The reference of this code, made now unless there is one; those of other code that nobody uses go."""
    folder = CACHE / digest(checkout)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "reference.json"
    if folder not in _IN_USE:
        lock = (folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        _IN_USE[folder] = lock
        if not made.exists():
            print("reference: one good upgrade", flush=True)
            made.write_text(json.dumps(asdict(_make(checkout, folder / "staged")), indent=1))
        fcntl.flock(lock, fcntl.LOCK_SH)
        _prune(folder)
    return Reference(**json.loads(made.read_text()))


def _prune(newest: Path) -> None:
    """Remove every other reference that no process holds a lock on: half a gigabyte each."""
    for folder in CACHE.iterdir():
        if folder == newest:
            continue
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(folder)


def _remove(folder: Path) -> None:
    """In a container: what an upgrade has staged belongs to root."""
    command = ["docker", "run", "--rm", "--volume", f"{folder.parent}:{PLACE}", "--entrypoint", "rm"]
    subprocess.run([*command, image(IMAGE), "-rf", f"{PLACE}/{folder.name}"], check=True)


def _make(checkout: Path, staged: Path) -> Reference:
    staged.mkdir(exist_ok=True)
    with Hub.start(IMAGE, options=("--volume", f"{staged}:{STAGED}")) as hub:
        attempt = Attempt(checkout, "upgrade.yml", hub, VARIABLES)
        try:
            # As in each row: a log-in writes to the user's row.
            hub.log_in("user-001")
            with Ledger(hub):
                attempt.go_to(lambda task: task.role == "hub_backup")
                hub.exec(["sh", "-c", f"cp -a {PLACE}/*.staged-{TARGET} {STAGED}"])
                status = attempt.end()
            if status:
                raise RuntimeError(f"A good upgrade fails:\n{attempt.output()}")
            begun = list(attempt.begun.items())
        finally:
            attempt.close()
        hub.wait_until_answers(TARGET)
        return Reference(
            fingerprint=fingerprint(hub),
            tasks=[[*task, round(next_ - moment, 3)] for (task, moment), (_, next_) in zip(begun, begun[1:])],
            staged=str(staged),
        )
