"""Disk space and permissions for the files that the upgrade writes."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade, bytes_needed
from .finding import BLOCKER, Finding, Kind

MEBIBYTE = 1024 * 1024
NOT_WRITABLE = Kind(
    "not-writable",
    BLOCKER,
    "A file or folder that the upgrade has to write is not writable for Ansible's user.",
    "The upgrade, or its restore, would fail half-way.",
    "Become the user who owns it (ansible-playbook --become), or correct its mode.",
)
NO_SPACE = Kind(
    "no-space",
    BLOCKER,
    "A file system has no space for new environments, recovery point or migration.",
    "A disk that becomes full during the outage prolongs it, and may prevent a restore.",
    "Make space, or name another place for recovery points in jupyterhub_state_folder.",
)
KINDS = (NOT_WRITABLE, NO_SPACE)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """Files that cannot be written, and file systems without enough space."""
    if not upgrade.changes:
        return
    host = upgrade.host
    for path in host.not_writable:
        yield NOT_WRITABLE.found(f"{path} is not writable for {host.user}.")
    for folder, needed in bytes_needed(upgrade.deployment, host, upgrade.environments).items():
        free = host.free_bytes.get(folder)
        if free is not None and free < needed:
            yield NO_SPACE.found(lacking(folder, free, needed))


def lacking(folder: str, free: int, needed: int) -> str:
    """How many of the bytes that are needed a folder has."""
    return (
        f"{folder} has {free // MEBIBYTE} MiB free, but the upgrade needs {-(-needed // MEBIBYTE)} MiB there."
    )
