"""The machine: what it must have, where the demo lives on it, free ports, and an end to it all."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDER = CHECKOUT / "build" / "demo"
SUPERVISOR_CONFIG = FOLDER / "supervisord.conf"
SUPERVISOR_SOCKET = FOLDER / "supervisor.sock"

BYTES_NEEDED = 1_500_000_000
LONGEST_SOCKET_PATH = 107 - len(".4194304")  # sun_path less its NUL; supervisord binds "<path>.<pid>"


class Unsuitable(Exception):
    """The demo cannot run here. The message says what to do."""


def check_machine() -> None:
    """Raises Unsuitable, naming everything that is missing at once."""
    problems = [problem for problem in (_system(), _ensurepip(), _path(), _space()) if problem]
    if problems:
        raise Unsuitable("\n".join(problems))


def _system() -> str:
    if sys.platform == "linux":
        return ""
    return f"- The collection manages Linux hosts, and this is {sys.platform}: use Linux, or a container."


def _ensurepip() -> str:
    """Debian and Ubuntu ship `python3 -m venv` without the part that makes it work."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return ""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    sudo = "sudo " if os.geteuid() else ""
    return f"- {sys.executable} has no ensurepip and makes no environments: {sudo}apt-get install {package}"


def _path() -> str:
    """The first line of a script holds its interpreter's path, and can hold no blanks."""
    if not re.fullmatch(r"[\w/.+@~-]+", str(FOLDER), flags=re.ASCII):
        return f"- Scripts do not run from a path such as {str(FOLDER)!r}: move the checkout to a plain one."
    if len(os.fsencode(SUPERVISOR_SOCKET)) > LONGEST_SOCKET_PATH:
        return f"- {SUPERVISOR_SOCKET} is too long for a socket: move the checkout to a shorter path."
    return ""


def _space() -> str:
    free = shutil.disk_usage(CHECKOUT).free
    if free >= BYTES_NEEDED:
        return ""
    return f"- {CHECKOUT} has {free / 1e9:.1f} GB free, and the demo needs {BYTES_NEEDED / 1e9:.1f} GB."


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on; held together until all are found, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def clean_environment() -> dict[str, str]:
    """Our own environment without what would steer the Pythons, hubs and Ansible of the demo from outside."""
    others = ("ANSIBLE_", "CONDA_", "CONFIGPROXY_", "JUPYTER", "LC_", "PYTHON", "UV_PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return kept | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}  # Ansible refuses to run in another encoding


def wait_for(what: str, happened: Callable[[], bool], seconds: float) -> None:
    """Asks ten times a second; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)


def processes_of_the_demo() -> list[int]:
    """Processes whose program lies in the demo's folder: supervisord, hub, proxy, servers, kernels.

    A container may have a folder of the same name; its processes see another root.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            program = (folder / "cmdline").read_bytes().split(b"\0")[0]
            if program.startswith(os.fsencode(FOLDER) + b"/") and (folder / "root").samefile("/"):
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found


def stop_demo() -> None:
    """Asks supervisord to stop the hub, which stops its servers and its proxy; then ends what is left."""
    control = FOLDER / "controller" / "bin" / "supervisorctl"
    if SUPERVISOR_SOCKET.exists() and control.exists():
        subprocess.run([control, "-c", SUPERVISOR_CONFIG, "shutdown"], capture_output=True, check=False)
        _all_ended_within(40)
    for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        for process in processes_of_the_demo():
            with suppress(ProcessLookupError):
                os.kill(process, number)
        if _all_ended_within(seconds):
            return


def _all_ended_within(seconds: float) -> bool:
    try:
        wait_for("everything to end", lambda: not processes_of_the_demo(), seconds)
    except TimeoutError:
        return False
    return True


def remove_demo() -> None:
    stop_demo()
    shutil.rmtree(FOLDER)
