"""Compares a hub with its state before an attempt."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .hub import Hub
from .probe import Probe
from .rows import Rows, lost_rows

#: Where an upgrade leaves things, and where it could forget some.
FOLDERS = (
    *("/opt", "/srv/jupyterhub", "/etc/jupyterhub", "/etc/systemd/system"),
    *("/tmp", "/var/lib", "/run/hubops"),
)
#: Fifty requests a second would take a fifth of a core from what they observe.
PROBE_SECONDS = 0.25
#: A hub needs longer than this to stop and start; a busy machine may keep it from answering for a moment.
SHORTEST_OUTAGE_SECONDS = 2


@dataclass(frozen=True)
class Before:
    """A hub as it is now, to be compared with later."""

    fingerprint: dict[str, Any]
    rows: Rows
    entries: set[str]
    process: str

    @classmethod
    def of(cls, hub: Hub) -> Before:
        return cls(hub.fingerprint(), hub.rows(), entries(hub), main_process(hub))

    def differences(self, hub: Hub) -> list[str]:
        """How the hub is another one, and which rows it has lost; empty when it is the same."""
        lost = [f"lost {row}" for row in lost_rows(self.rows, hub.rows())]
        return differences(self.fingerprint, hub.fingerprint()) + lost[:8]

    def left_behind(self, hub: Hub, apart_from: str | tuple[str, ...] = ()) -> list[str]:
        """Files and folders that have come or gone, but for those below ``apart_from``."""
        return sorted(path for path in entries(hub) ^ self.entries if not path.startswith(apart_from))


@contextlib.contextmanager
def untouched(hub: Hub, apart_from: str | tuple[str, ...] = ()) -> Iterator[None]:
    """Assert that the same process keeps serving, and that no file has changed afterwards.

    Files below ``apart_from`` are ignored.
    """
    before = Before.of(hub)
    with Probe(hub, PROBE_SECONDS) as probe:
        yield
    assert main_process(hub) == before.process, "the hub was started again"
    assert {sample.version for sample in probe.samples} <= {hub.layout.version, None}
    assert probe.longest_silence() < SHORTEST_OUTAGE_SECONDS
    assert before.differences(hub) == []
    assert before.left_behind(hub, apart_from) == []


def main_process(hub: Hub) -> str:
    """Which start of the hub this is, as its service manager knows it."""
    if hub.layout.systemd_unit:
        return hub.exec(["systemctl", "show", "--property=InvocationID", hub.layout.systemd_unit]).stdout
    return hub.exec([*hub.layout.control, "pid", "jupyterhub"]).stdout


def entries(hub: Hub) -> set[str]:
    """Files and folders where an upgrade works, without those of a database transaction."""
    find = ["find", *FOLDERS, "-maxdepth", "2", "-not", "-name", "*.sqlite-*", "-print"]
    return set(hub.exec(find, check=False).stdout.splitlines())


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two nested mappings differ, the first few."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted(wanted.keys() | found.keys())
        return [
            line for key in keys for line in differences(wanted.get(key), found.get(key), f"{path}/{key}")
        ][:8]
    return [] if wanted == found else [f"{path}: {_short(wanted)} is {_short(found)}"]


def _short(value: Any) -> str:
    return str(value)[:60]
