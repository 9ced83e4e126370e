"""Installs the guard on the hub's host, and removes it.

Under systemd it is a service that a reboot starts again, with a timer that starts it again if it is stopped.
Elsewhere it is a separate process, which a reboot ends.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from .. import errors
from ..errors import HubError
from ..system import files, state
from ..system.process_records import identity, recorded_in
from ..system.source import source_of

_UNITS = Path("/etc/systemd/system")
_PACKAGE = "hubops_guard"
_MAIN = """
import pathlib
import sys

from {program} import main

sys.exit(main(pathlib.Path(__file__).resolve().parents[1]))
"""
_READY = "ready"
_LOG = "log"
#: Seconds within which a new guard becomes active, on a busy host.
_START_TIMEOUT = 30.0


def install(folder: Path, environments: Iterable[str], program: ModuleType) -> None:
    """Have a guard watch the run of this state folder; returns when it is active.

    ``environments`` are those that it may exchange; ``program`` is the module whose
    ``main`` it runs. Raises HubError when it does not become active.
    """
    write_program(folder, program)
    python = _python(environments)
    files.write(state.guard_folder(folder) / "python", python.encode())
    if has_systemd():
        _install_units(folder)
    else:
        start_process(folder, "watch", _LOG)
    deadline = time.monotonic() + _START_TIMEOUT
    while not is_active(folder):
        if time.monotonic() > deadline:
            said = output(folder, f"{_unit(folder)}.service", _LOG)
            raise HubError(f"The guard did not start: {said}", "Nothing was changed.")
        time.sleep(0.05)


def is_active(folder: Path) -> bool:
    """Whether a guard is active."""
    return _process(folder) is not None


def _process(folder: Path) -> int | None:
    return recorded_in(state.guard_folder(folder) / _READY)


def report_ready(folder: Path) -> None:
    """Mark the guard, which is this process, as active."""
    files.write(state.guard_folder(folder) / _READY, identity().encode())


def remove(folder: Path) -> None:
    """Deactivate the guard, and remove its program. A guard that does this itself ends afterwards."""
    deactivate(folder)
    shutil.rmtree(state.guard_folder(folder), ignore_errors=True)


def deactivate(folder: Path) -> None:
    """Deactivate the guard, and leave its program for an administrator who has to restore manually."""
    name = _unit(folder)
    units = [_UNITS / f"{name}.timer", _UNITS / f"{name}.service"]
    if any(unit.exists() for unit in units):
        _systemctl("disable", "--quiet", *(unit.name for unit in units))
        _systemctl("stop", f"{name}.timer")
        for unit in units:
            unit.unlink(missing_ok=True)
        files.sync(_UNITS)
        _systemctl("daemon-reload")
        if _process(folder) != os.getpid():
            _systemctl("stop", f"{name}.service")
        _systemctl("reset-failed", f"{name}.service")


def command(folder: Path, verb: str) -> str:
    """The command on the host that runs the guard's program with this verb."""
    python, program, _verb = argv(folder, verb)
    return f"{python} {shlex.quote(program)} {verb}"


def argv(folder: Path, verb: str) -> list[str]:
    """The same as a list of arguments."""
    python = "python3"
    with contextlib.suppress(FileNotFoundError):
        python = (state.guard_folder(folder) / "python").read_text(encoding="utf-8")
    return [python, str(state.guard_folder(folder)), verb]


def write_program(folder: Path, program: ModuleType) -> None:
    """Copy a module, and all of this collection's that it has imported, into the guard's folder; durably."""
    target = state.guard_folder(folder) / _PACKAGE
    shutil.rmtree(target.parent, ignore_errors=True)
    state.make_private(target)
    (target / "__init__.py").touch()
    prefix = f"{errors.__package__}."
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(prefix):
            continue
        place = target.joinpath(*name[len(prefix) :].split("."))
        if hasattr(module, "__path__"):
            state.make_private(place)
            place = place / "__init__"
        place.with_suffix(".py").write_text(source_of(module), encoding="utf-8")
    main = _MAIN.format(program=f"{_PACKAGE}.{program.__name__[len(prefix) :]}")
    for path in (*target.rglob("*"), target):
        files.sync(path)
    files.write(target.parent / "__main__.py", main.lstrip().encode())


def _python(environments: Iterable[str]) -> str:
    """This Python, by a path outside of the environments."""
    python = os.path.realpath(sys.executable)
    folders = [os.path.realpath(path) + os.sep for path in environments]
    if not any(python.startswith(folder) for folder in folders):
        return python
    found = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    if found is None:
        raise HubError(
            f"The guard needs a Python outside of the environments, and {python} is in one.",
            "Install python3 on the host.",
        )
    return found


def has_systemd() -> bool:
    """Whether the program is a unit of systemd's here."""
    return os.geteuid() == 0 and Path("/run/systemd/system").is_dir()


def _unit(folder: Path) -> str:
    return f"hubops-guard-{folder.name}"


def _install_units(folder: Path) -> None:
    words = argv(folder, "watch")
    exec_start = " ".join('"' + word.replace("%", "%%").replace("$", "$$") + '"' for word in words)
    service = (
        "# Written by hubops.jupyterhub for the time of an upgrade, and removed at its end.\n"
        "[Unit]\n"
        f"Description=Restores the old hub when the upgrade of {folder.name} is cut off\n"
        "StartLimitIntervalSec=0\n"
        "[Service]\n"
        f"ExecStart={exec_start}\n"
        "Restart=on-failure\n"
        "RestartSec=1\n"
        "OOMScoreAdjust=-900\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    timer = (
        "# Written by hubops.jupyterhub for the time of an upgrade, and removed at its end.\n"
        "[Unit]\n"
        f"Description=Starts the guard of {folder.name} again if it was stopped\n"
        "[Timer]\nOnActiveSec=2\nOnUnitInactiveSec=2\nAccuracySec=100ms\n"
        "[Install]\nWantedBy=timers.target\n"
    )
    name = _unit(folder)
    files.write(_UNITS / f"{name}.service", service.encode(), mode=0o644)
    files.write(_UNITS / f"{name}.timer", timer.encode(), mode=0o644)
    _systemctl("daemon-reload")
    for verb in ("enable", "restart"):
        done = _systemctl(verb, "--quiet", f"{name}.service", f"{name}.timer")
        if done.returncode:
            raise HubError(
                f"systemd could not {verb} {name}: {done.stderr.strip()}",
                f"`systemctl status {name}` says more.",
            )


def start_process(folder: Path, verb: str, log_name: str) -> None:
    """Run the guard's program as a process of its own, which writes a log into the guard's folder."""
    with (state.guard_folder(folder) / log_name).open("w", encoding="utf-8") as log:
        subprocess.Popen(
            argv(folder, verb),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def output(folder: Path, unit: str, log_name: str) -> str:
    """The end of what the guard's program has written, as this unit, or into this log."""
    if has_systemd():
        done = run(["journalctl", f"--unit={unit}", "--lines=5", "--output=cat", "--no-pager"])
        return done.stdout.strip()
    with contextlib.suppress(FileNotFoundError):
        return (state.guard_folder(folder) / log_name).read_text(encoding="utf-8").strip()
    return ""


def _systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(["systemctl", *arguments])


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of systemd's."""
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
