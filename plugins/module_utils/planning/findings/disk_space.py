"""Room and permission for what the upgrade writes."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade, bytes_needed
from .finding import BLOCKER, Finding, Kind

MEBIBYTE = 1024 * 1024
NOT_WRITABLE = Kind(
    "not-writable",
    BLOCKER,
    "A file or folder that the upgrade has to write is not writable for the user that Ansible works as.",
    "The upgrade, or its restore, would fail half-way.",
    "Become the user who owns it: ansible-playbook --become, or correct its mode.",
)
NO_SPACE = Kind(
    "no-space",
    BLOCKER,
    "A file system has no space for new environments, recovery point or migration.",
    "A disk that gets full in the outage makes it longer, and may keep a restore from its end.",
    "Make space, or name another place for recovery points in jupyterhub_state_folder.",
)
KINDS = (NOT_WRITABLE, NO_SPACE)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What cannot be written, and where there is no space."""
    if not upgrade.changes:
        return
    host = upgrade.host
    for path in host.not_writable:
        yield NOT_WRITABLE.found(f"{path} is not writable for {host.user}.")
    for folder, needed in bytes_needed(upgrade.deployment, host, upgrade.environments).items():
        free = host.free_bytes.get(folder)
        if free is not None and free < needed:
            yield NO_SPACE.found(
                f"{folder} has {free // MEBIBYTE} MiB free, "
                f"the upgrade needs {-(-needed // MEBIBYTE)} MiB there."
            )
