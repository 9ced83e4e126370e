"""The first process of the node: starts its programs, starts those again that end, and buries the dead.

It runs in namespaces of its own (mounts, network, processes, host name), so that its end is the end of
the node with all pods, mounts, addresses and rules of its network: what a power cut is to a machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from .api import Api
from .settings import HOST_ADDRESS, NODE, NODE_ADDRESS, Program, programs

# What the programs keep in fixed places, and what must be gone after a restart.
IN_MEMORY = ("/run", "/var/log/containers", "/var/lib/cni")


def run(*command: str) -> None:
    """Run a command that must not fail."""
    subprocess.run(command, check=True)


def prepare(folder: Path) -> None:
    """Set up what an init system would have: mounts, host name, network."""
    for mount in IN_MEMORY:
        Path(mount).mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "node", mount)
    shutil.rmtree(folder / "run", ignore_errors=True)
    (folder / "run").mkdir()
    (folder / "logs" / "pods").mkdir(parents=True, exist_ok=True)
    run("hostname", NODE)
    run("ip", "link", "set", "lo", "up")
    # This machine lays the wire as soon as it knows this process.
    while subprocess.run(["ip", "link", "show", "eth0"], capture_output=True).returncode != 0:
        time.sleep(0.02)
    run("ip", "address", "add", f"{NODE_ADDRESS}/30", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    run("ip", "route", "add", "default", "via", HOST_ADDRESS)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def start(program: Program, folder: Path) -> subprocess.Popen[bytes]:
    """Start a program whose output goes to a file of its name."""
    with (folder / "logs" / f"{program.name}.log").open("ab") as log:
        return subprocess.Popen(program.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def main(folder: Path, binaries: Path) -> None:
    """Run the node until it is killed."""
    prepare(folder)
    api = Api(folder)
    waiting = programs(folder, binaries)
    running: dict[int, Program] = {}
    while True:
        is_ready = bool(waiting) and api.is_ready()
        for program in [program for program in waiting if is_ready or not program.needs_server]:
            waiting.remove(program)
            running[start(program, folder).pid] = program
        ended = 0
        with suppress(ChildProcessError):
            ended, _ = os.waitpid(-1, os.WNOHANG)
        if ended in running:
            waiting.append(running.pop(ended))
            time.sleep(0.2)
        elif ended == 0:
            time.sleep(0.1 if waiting else 0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
