"""Planner: reads target, host and packages in parallel, and makes the plan of them."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from dataclasses import replace

from ..deployment import server_images
from ..deployment.model import Deployment
from ..deployment.server_images import ServerImage, StaleContainer
from ..environments.installer import InstallerOptions
from ..environments.kinds import environment_of
from . import host, newest
from .basis import FailedUpgrade
from .findings import kinds
from .found_host import FoundHost
from .making import make_plan
from .plan import Plan
from .resolution import resolve
from .target import find_target
from .upgrade import Policy


def plan(
    deployment: Deployment,
    version: str,
    policy: Policy,
    options: InstallerOptions,
    state_base: str | None = None,
    failed: FailedUpgrade | None = None,
    others: Sequence[FoundHost] = (),
) -> Plan:
    """The plan of an upgrade to ``version``, which may be a word of `newest`.

    ``failed`` is the last upgrade, where it was undone, ``others`` are further hosts of
    single-user servers. Raises HubError for what no plan can be made of.
    The index is asked for the target and for what the environments would become at the same time: each
    costs about a second, most of it waiting.
    """
    kinds.require_known(policy.accept)
    version = newest.release_of(version, deployment, policy, options)
    for each in deployment.environments:
        # Before there are threads: what works for owners of environments is made when the first one is met.
        environment_of(each.kind, each.path)
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        target = pool.submit(find_target, deployment, version, options)
        resolved = pool.submit(resolve, deployment, version, policy, options)
        images = pool.submit(_images, deployment, version)
        seen = host.look(deployment, state_base, policy.python, policy.verify_user)
        found, packages, (offered, stale) = target.result(), resolved.result(), images.result()
    seen = replace(seen, resolved=packages, failed=failed, server_images=offered, stale_containers=stale)
    return make_plan(deployment, found, seen, policy, others)


def _images(deployment: Deployment, version: str) -> tuple[list[ServerImage], list[StaleContainer]]:
    """What containers of single-user servers start from, and those that are there and do not."""
    spawner = deployment.spawner
    if spawner.images is None:
        return [], []
    offered = server_images.read(spawner.images, version, spawner.command)
    return offered, server_images.stale(spawner.images, offered, version, spawner.command)
