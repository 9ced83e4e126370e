"""This controller: who runs Ansible, where, and whether a process of it has ended."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import birth

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def holder() -> dict[str, str]:
    """This controller: who, where, and which process, which is the parent of the one that runs a task."""
    pid = os.getppid()
    return {
        "user": getpass.getuser(),
        "controller": socket.gethostname(),
        "process": f"{_machine()}/{pid}/{birth(pid)}" if _machine() else "",
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
    }


def has_died(process: str) -> bool:
    """Whether the process of a `holder` has ended; False where that cannot be known from here."""
    machine, _slash, rest = process.partition("/")
    pid, _slash, born = rest.partition("/")
    return bool(machine) and machine == _machine() and birth(int(pid)) != born


def _machine() -> str:
    """The machine's boot and the container, whose processes are visible; '' where there is no /proc."""
    if not BOOT_ID.exists():
        return ""
    # A process of another container has a number here, too, or none.
    return f"{BOOT_ID.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
