"""The guard of another host of single-user servers: its environments follow the hub, without a controller.

A separate program, without Ansible: `guard.install` copies it into the host's state folder.

    python3 <state folder>/guard watch      what the service manager runs
    python3 <state folder>/guard restore    restores the old environments now
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..errors import HubError
from ..runs import guard, journal
from . import exchange
from .record import KEPT, RESTORED, SWITCHED, Record, read

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_QUESTIONS = 2.0


def watch(folder: Path) -> None:
    """Return when the environments are kept or restored."""
    watched, began = read(folder), journal.now()
    guard.report_ready(folder)
    new_since: float | None = None
    while True:
        record = read(folder)
        if record is None or watched is None or record.recovery_point != watched.recovery_point:
            return
        if record.phase != SWITCHED:
            guard.remove(folder)
            return
        if not _is_late(record, began):
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        wanted = exchange.decide(record)
        new_since = (new_since or journal.now()) if wanted == KEPT else None
        # The guard of the hub may still restore the old hub: it waits as long.
        settled = wanted == RESTORED or (
            new_since is not None and journal.now() - new_since > record.patience
        )
        if settled:
            say(f"nothing was heard of the upgrade: the environments are {wanted}")
            _settle(folder, record, wanted)
        time.sleep(SECONDS_BETWEEN_QUESTIONS)


def _is_late(record: Record, began: float) -> bool:
    """Whether the upgrade has been silent for too long: since it began, or the guard did after a reboot."""
    since = record.since if record.boot == journal.boot() else began
    return journal.now() - since > record.patience


def _settle(folder: Path, record: Record, wanted: str) -> None:
    """Keep or restore, or say why that has failed: it is tried again."""
    act = exchange.keep if wanted == KEPT else exchange.restore
    try:
        act(folder, record.recovery_point)
    except HubError as error:
        say(f"<3>{error}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> int:
    """Arguments, call, exit status; ``folder`` is the state folder that the program lies in."""
    verb = sys.argv[1] if len(sys.argv) == 2 else ""
    if verb == "watch":
        watch(folder)
        return 0
    record = read(folder)
    if verb != "restore" or record is None:
        say(f"usage: {guard.command(folder, 'watch|restore')}")
        return 2
    try:
        exchange.restore(folder, record.recovery_point)
    except HubError as error:
        say(str(error))
        return 1
    say(f"The environments of JupyterHub {record.from_version} are in place.")
    return 0
