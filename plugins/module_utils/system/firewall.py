"""The kernel's firewall: connections to a port on which nothing listens wait instead of being refused."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_NUMBERS = itertools.count(1)
_CAP_NET_ADMIN = 1 << 12
#: Administrators' own PATH may lack the folders of its program.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_READY_SECONDS = 1.0
_LOOK_SECONDS = 0.01
_END_SECONDS = 5.0
#: How the kernel refuses a connection: a reset that answers the first packet, and so has no number of its
#: own. Who asks again after a second, as every system does, finds whoever listens by then.
_RULES = (
    "table inet {table} {{ flags owner; chain refused {{ type filter hook output priority 0; "
    "tcp sport {port} tcp flags & (rst | ack) == rst | ack tcp sequence 0 drop; }}; }}"
)


@contextlib.contextmanager
def waiting_connections(port: int) -> Iterator[bool]:
    """Refuse no connection to a ``port`` of this host for the time of the block.

    A connection to whoever listens there is as ever.

    Gives False where that cannot be done: without root, without nftables, in a kernel before 5.12. The kernel
    removes the rule with the process that has set it, however that ends.
    """
    table = f"hubops_{os.getpid()}_{next(_NUMBERS)}"
    program = shutil.which("nft", path=_PATH)
    if program is None or not _may_change_it():
        yield False
        return
    with subprocess.Popen(
        [program, "--interactive"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        try:
            yield _tell(owner, _RULES.format(table=table, port=port)) and _is_there(program, table, owner)
        finally:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                owner.communicate(timeout=_END_SECONDS)
            owner.kill()


def _may_change_it() -> bool:
    """Whether this process may set rules: root in a container often may not."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & _CAP_NET_ADMIN)


def _tell(owner: subprocess.Popen[str], line: str) -> bool:
    """Give the program a line; False where it has ended already."""
    if owner.stdin is None:
        raise AssertionError("The owner of the rule has no pipe.")
    try:
        owner.stdin.write(f"{line}\n")
        owner.stdin.flush()
    except OSError:
        return False
    return True


def _is_there(program: str, table: str, owner: subprocess.Popen[str]) -> bool:
    """Whether the kernel has the table; of a line that it refuses nothing can be waited for."""
    deadline = time.monotonic() + _READY_SECONDS
    while owner.poll() is None and time.monotonic() < deadline:
        found = subprocess.run(
            [program, "list", "table", "inet", table],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if b"drop" in found.stdout:
            return True
        time.sleep(_LOOK_SECONDS)
    return False
