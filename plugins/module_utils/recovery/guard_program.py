"""The guard: watches a run from the hub's own host, and restores the old hub when its heartbeat ends.

A separate program, without Ansible: `guard.install` copies it into the hub's state folder.

    python3 <state folder>/guard watch      what the service manager runs
    python3 <state folder>/guard restore    restores the old hub now
    python3 <state folder>/guard status     prints the state of the run
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..errors import HubError
from ..runs import guard, journal, report
from . import rollback

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_ATTEMPTS = 5.0
#: How long the guard waits for a task that has just taken the lock; it writes a heartbeat every second.
GRACE_SECONDS = 3.0


def watch(folder: Path) -> None:
    """Return when the run is over, or when the old hub cannot be restored."""
    watched = journal.read(folder)
    guard.report_ready(folder)
    while True:
        run = journal.read(folder)
        if run is None or watched is None or run.id != watched.id:
            return
        if run.phase == journal.STUCK:
            guard.deactivate(folder)
            return
        if run.is_over:
            # The process that ended it may have been cut off during its cleanup.
            rollback.tidy_up(folder, run.id)
            return
        silent = journal.silence(folder, run)
        if silent <= run.confirm_timeout:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        reason = (
            "the host was rebooted"
            if silent == float("inf")
            else f"the run had no heartbeat for {silent:.0f} s"
        )
        if _is_dead(folder, run):
            say(f"{reason}: restoring the old hub")
            _restore_until_done(folder, reason)


def _is_dead(folder: Path, run: journal.Run) -> bool:
    """Whether there is still no heartbeat once no task has the lock; a task that hangs is ended."""
    try:
        with journal.lock(folder, GRACE_SECONDS):
            pass
    except HubError:
        # The task that has the lock may have begun just now; then there is a heartbeat by now.
        if not journal.is_live(folder, run):
            rollback.end_task(folder)
    return not journal.is_live(folder, run)


def _restore_until_done(folder: Path, reason: str) -> None:
    """Try until it succeeds or no more attempts are allowed."""
    while True:
        try:
            rollback.roll_back(folder, "the guard", reason)
            return
        except HubError as error:
            say(f"<3>the old hub could not be restored: {error}")
            say(f"<3>the hub is kept down; to try again: {guard.command(folder, 'restore')}")
        run = journal.read(folder)
        if run is None or run.phase == journal.STUCK:
            return
        time.sleep(SECONDS_BETWEEN_ATTEMPTS)


def restore(folder: Path) -> None:
    """Restore the old hub, whatever was tried before."""
    rollback.roll_back(folder, "hand", "")
    status(folder)


def status(folder: Path) -> None:
    """Print the state of the run, and its report so far."""
    run = journal.read(folder)
    if run is None:
        say("No run is known.")
        return
    for line in dict.fromkeys(
        [journal.summary(run), *report.lines(report.compose(report.of_run(run)), folder.name)]
    ):
        say(line)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> int:
    """Arguments, call, exit status; ``folder`` is the state folder that the program lies in."""
    actions = {"watch": watch, "restore": restore, "status": status}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        say(f"usage: {guard.command(folder, '|'.join(actions))}")
        return 2
    try:
        actions[sys.argv[1]](folder)
    except HubError as error:
        say(str(error))
        return 1
    return 0
