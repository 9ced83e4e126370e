"""The guard: watches a run from the hub's own host, and restores the old hub when its heartbeat ends.

The same program carries out the outage, as another process.

A separate program, without Ansible: `guard.install` copies it into the hub's state folder.

    python3 <state folder>/guard watch      what the service manager runs
    python3 <state folder>/guard outage     carries out the outage of the run
    python3 <state folder>/guard restore    restores the old hub now
    python3 <state folder>/guard status     prints the state of the run
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..errors import HubError
from ..runs import guard, journal, outage_process
from . import outage, rollback, status

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
        if not _why_dead(folder, run):
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        _wait_for_task(folder, run)
        # Whoever had the lock may have come further with the run.
        again = journal.read(folder)
        reason = _why_dead(folder, again) if again and again.id == run.id else ""
        if reason:
            say(f"{reason}: ending the run")
            _settle_until_done(folder, reason)


def _why_dead(folder: Path, run: journal.Run) -> str:
    """Why a run counts as cut off, '' where it does not."""
    silent = journal.silence(folder, run)
    if silent == float("inf"):
        return "the host was rebooted"
    if silent > run.confirm_timeout:
        return f"the run had no heartbeat for {silent:.0f} s"
    changing = run.phase in (journal.OUTAGE, journal.RESTORING)
    if changing and outage_process.has_died(folder) and journal.lock_holder(folder) is None:
        return "the program that carried out its outage was ended"
    return ""


def _wait_for_task(folder: Path, run: journal.Run) -> None:
    """Return when no task has the lock; one that hangs is ended."""
    try:
        with journal.lock(folder, GRACE_SECONDS):
            pass
    except HubError:
        # The task that has the lock may have begun just now; then there is a heartbeat by now.
        if not journal.is_live(folder, run):
            rollback.end_task(folder)


def _settle_until_done(folder: Path, reason: str) -> None:
    """Try until it succeeds or no more attempts are allowed."""
    while True:
        try:
            rollback.settle(folder, "the guard", reason)
            return
        except HubError as error:
            say(f"<3>the old hub could not be restored: {error}")
            say(f"<3>the hub is kept down; to try again: {guard.command(folder, 'restore')}")
        run = journal.read(folder)
        if run is None or run.phase == journal.STUCK:
            return
        time.sleep(SECONDS_BETWEEN_ATTEMPTS)


def carry_out(folder: Path) -> None:
    """Carry out the outage. Raises HubError with the reason when the old hub serves again instead."""
    reason = outage.carry_out(folder)
    if reason:
        raise HubError(reason)


def restore(folder: Path) -> None:
    """Restore the old hub, whatever was tried before."""
    rollback.roll_back(folder, "hand", "")
    print_status(folder)


def print_status(folder: Path) -> None:
    """Print the state of the run, its report so far, and what is kept."""
    for line in status.lines(status.of_hub(folder)):
        say(line)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> int:
    """Arguments, call, exit status; ``folder`` is the state folder that the program lies in."""
    actions = {"watch": watch, outage_process.VERB: carry_out, "restore": restore, "status": print_status}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        say(f"usage: {guard.command(folder, '|'.join(actions))}")
        return 2
    try:
        actions[sys.argv[1]](folder)
    except HubError as error:
        say(str(error))
        return 1
    return 0
