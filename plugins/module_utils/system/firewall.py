"""The kernel's firewall: connections and requests to a port wait until there is somebody to answer them."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
    "tcp sport {port} tcp flags & (rst | ack) == rst | ack tcp sequence 0 drop; }}; "
    "chain requests {{ type filter hook input priority 0; }}; }}"
)
#: What a connection carries: the last packet of what is sent is marked to be pushed, those before it are
#: longer than the headers of IPv6 and TCP. What only opens or closes a connection passes.
_REQUESTS = ("tcp dport {port} tcp flags & psh == psh drop", "tcp dport {port} meta length > 100 drop")


@dataclass(frozen=True)
class Waiting:
    """What can be made to wait at a port."""

    owner: subprocess.Popen[str]
    program: str
    table: str
    port: int

    @contextlib.contextmanager
    def requests(self) -> Iterator[None]:
        """Have connections be made, and nothing that they carry arrive, for the time of the block.

        Whoever has sent something sends it again after a fifth of a second, then less and less often.
        """
        for rule in _REQUESTS:
            self.tell(f"add rule inet {self.table} requests {rule.format(port=self.port)}")
        self.has(" length ")
        try:
            yield
        finally:
            self.tell(f"flush chain inet {self.table} requests")

    def tell(self, line: str) -> bool:
        """Give the program a line; False where it has ended already."""
        if self.owner.stdin is None:
            raise AssertionError("The owner of the rule has no pipe.")
        try:
            self.owner.stdin.write(f"{line}\n")
            self.owner.stdin.flush()
        except OSError:
            return False
        return True

    def has(self, text: str) -> bool:
        """Whether the kernel has it in the table; of a line that it refuses nothing can be waited for."""
        deadline = time.monotonic() + _READY_SECONDS
        while self.owner.poll() is None and time.monotonic() < deadline:
            found = subprocess.run(
                [self.program, "list", "table", "inet", self.table],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            if text.encode() in found.stdout:
                return True
            time.sleep(_LOOK_SECONDS)
        return False


@contextlib.contextmanager
def waiting_connections(port: int) -> Iterator[Waiting | None]:
    """Refuse no connection to a ``port`` of this host for the time of the block.

    A connection to whoever listens there is as ever.

    Gives None where that cannot be done: without root, without nftables, in a kernel before 5.12. The kernel
    removes the rules with the process that has set them, however that ends.
    """
    table = f"hubops_{os.getpid()}_{next(_NUMBERS)}"
    program = shutil.which("nft", path=_PATH)
    if program is None or not _may_change_it():
        yield None
        return
    with subprocess.Popen(
        [program, "--interactive"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        waiting = Waiting(owner, program, table, port)
        try:
            is_set = waiting.tell(_RULES.format(table=table, port=port)) and waiting.has("drop")
            yield waiting if is_set else None
        finally:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                owner.communicate(timeout=_END_SECONDS)
            owner.kill()


def _may_change_it() -> bool:
    """Whether this process may set rules: root in a container often may not."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & _CAP_NET_ADMIN)
