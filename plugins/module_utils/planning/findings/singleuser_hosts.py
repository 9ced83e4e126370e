"""Other hosts of single-user servers: whether they are known, and their environments can be upgraded."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator

from ..upgrade import STAGING_RESERVE_BYTES, HostUpgrade, Upgrade
from . import disk_space, environments
from .finding import BLOCKER, Finding, Kind

HOST_UNKNOWN = Kind(
    "singleuser-host-unknown",
    BLOCKER,
    "A host of the group jupyterhub_singleuser cannot be reached, or its environments are not found.",
    "Servers that start there would keep their version, and need the same as the hub.",
    "Have it reached, or name its environments in its jupyterhub_user_environments; or go on without it: "
    "jupyterhub_environment_failures: report.",
)
HOST_WITHOUT_HUB = Kind(
    "singleuser-host-without-hub",
    BLOCKER,
    "A host of the group jupyterhub_singleuser does not say which of several hubs it belongs to.",
    "It has to be upgraded together with its hub, and with no other.",
    "Set jupyterhub_hub for that host to the name that its hub has in the inventory.",
)
ENVIRONMENT_SHARED = Kind(
    "singleuser-host-shares-environment",
    BLOCKER,
    "An environment of another host of single-user servers is on a network file system.",
    "It would be exchanged once by each host that has it.",
    "Name it in jupyterhub_user_environments of the hub's host, and take the others out of the group "
    "jupyterhub_singleuser.",
)
KINDS = (HOST_UNKNOWN, HOST_WITHOUT_HUB, ENVIRONMENT_SHARED)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is not known of the other hosts, and what speaks against the upgrade of their environments."""
    for other in upgrade.elsewhere:
        for finding in check_host(other):
            yield replace(finding, found=f"On {other.found.name}: {finding.found}")


def check_host(other: HostUpgrade) -> Iterator[Finding]:
    """The same of one host, whose name is not in it."""
    found = other.found
    if found.problem:
        yield (HOST_WITHOUT_HUB if found.without_hub else HOST_UNKNOWN).found(found.problem)
        return
    yield from environments.check(other.upgrade)
    changed = [entry.path for entry in other.upgrade.environments]
    for path in changed:
        if path in found.shared:
            yield ENVIRONMENT_SHARED.found(f"{path} is on a file system of the kind {found.shared[path]}.")
    parents = [path.rpartition("/")[0] or "/" for path in changed]
    for path in found.not_writable:
        if path in (*changed, *parents):
            yield disk_space.NOT_WRITABLE.found(f"{path} is not writable for {found.user}.")
    for parent in dict.fromkeys(parents):
        sizes = [found.environment_bytes.get(path, 0) for path, in_ in zip(changed, parents) if in_ == parent]
        needed, free = sum(sizes) + STAGING_RESERVE_BYTES * len(sizes), found.free_bytes.get(parent)
        if free is not None and free < needed:
            yield disk_space.NO_SPACE.found(disk_space.lacking(parent, free, needed))
