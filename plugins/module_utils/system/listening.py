"""Ports of this host on which somebody listens, as the kernel says."""

from __future__ import annotations

from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN, _BEING_OPENED = "0A", "03"


def is_listening(port: int) -> bool:
    """Whether somebody listens on a TCP ``port``, at whatever address. Raises OSError where nobody can tell.

    No connection is made, which whoever listens would notice.
    """
    return any(port in _ports(table) for table in _TABLES if table.exists())


def _ports(table: Path) -> set[int]:
    """The ports of a table that are listened on: they come first, before thousands of connections."""
    found = set()
    with table.open(encoding="ascii") as lines:
        next(lines)
        for line in lines:
            _number, local, _remote, state = line.split(maxsplit=4)[:4]
            if state == _LISTEN:
                found.add(int(local.rpartition(":")[2], 16))
            elif state != _BEING_OPENED:
                break
    return found
