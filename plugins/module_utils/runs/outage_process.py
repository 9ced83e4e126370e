"""The process on the hub's host that carries out an outage: who starts it, and whether it still works.

It runs the guard's program with another verb, outlives the connection that has started it, and is watched by
the guard. What it is to do is in `recovery.outage`.
"""

from __future__ import annotations

import time
from pathlib import Path

from ..errors import HubError
from ..system import files, state
from ..system.process_records import identity, recorded_in
from . import guard

VERB = "outage"
_LOG = "outage.log"
#: Seconds within which it begins, on a busy host.
_START_TIMEOUT = 30.0


def start(folder: Path) -> None:
    """Start it, in the present run of this state folder; returns when it has begun.

    Raises HubError when it does not begin, or another one works.
    """
    _record(folder).unlink(missing_ok=True)
    if guard.has_systemd():
        # The process of a task would end with the session of its connection, where logind is told so.
        settings = ["--quiet", "--collect", "--property=OOMScoreAdjust=-900", f"--unit={_unit(folder)}"]
        done = guard.run(["systemd-run", *settings, *guard.argv(folder, VERB)])
        if done.returncode:
            raise HubError(f"systemd could not start the program of the outage: {done.stderr.strip()}")
    else:
        guard.start_process(folder, VERB, _LOG)
    deadline = time.monotonic() + _START_TIMEOUT
    while not _record(folder).exists():
        # It may be over by now, and the guard's folder with it.
        if not state.guard_folder(folder).exists():
            return
        if time.monotonic() > deadline:
            raise HubError(f"The program of the outage did not start: {output(folder)}")
        time.sleep(0.02)


def report_begun(folder: Path) -> None:
    """Have this process be the one that the guard watches."""
    files.write(_record(folder), identity().encode())


def report_done(folder: Path) -> None:
    """Have the guard not miss it: the new hub is verified."""
    _record(folder).unlink(missing_ok=True)


def is_running(folder: Path) -> bool:
    """Whether it works."""
    return recorded_in(_record(folder)) is not None


def has_died(folder: Path) -> bool:
    """Whether it has begun, and ended without `report_done`."""
    return _record(folder).exists() and not is_running(folder)


def output(folder: Path) -> str:
    """The end of what it has written."""
    return guard.output(folder, f"{_unit(folder)}.service", _LOG)


def _record(folder: Path) -> Path:
    return state.guard_folder(folder) / "outage.process"


def _unit(folder: Path) -> str:
    return f"hubops-outage-{folder.name}"
