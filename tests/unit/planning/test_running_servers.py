"""What becomes of users' servers: kept where that is safe, and as an administrator says."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target

from tests.healthy_hub import TARGET, deployment, host, upgraded

SERVERS_ELSEWHERE = {"spawner__local": False, "spawner__command": ["jupyterhub-singleuser"]}


def chosen(hub: Deployment, target: Target = TARGET, **policy: Any) -> str:
    return make_plan(hub, target, host(), Policy(**policy)).running_servers


@pytest.mark.parametrize(
    ("hub", "policy", "way"),
    [
        (deployment(), {}, "keep"),
        (deployment(), {"running_servers": "wait"}, "wait"),
        (deployment(hub_environment__jupyterhub="1.5.1"), {}, "stop"),
        (deployment(config__oauth_require_pkce=True), {}, "stop"),
        # Their environment changes under them.
        (deployment(), {"strategy": "in_place"}, "stop"),
        (deployment(), {"python": "/usr/bin/python3.12"}, "stop"),
        (deployment(**SERVERS_ELSEWHERE), {"python": "/usr/bin/python3.12"}, "keep"),
        # They end with the container.
        (deployment(service__sees_host=False), {}, "stop"),
        (deployment(service__sees_host=False, **SERVERS_ELSEWHERE), {}, "keep"),
        # Nobody can be asked, or nothing is stopped.
        (deployment(service__state="stopped"), {}, ""),
        (upgraded(), {}, ""),
    ],
)
def test_servers_are_kept_where_that_is_safe(hub: Deployment, policy: dict[str, Any], way: str) -> None:
    assert chosen(hub, **policy) == way


def test_within_a_major_servers_that_know_no_pkce_were_refused_before() -> None:
    hub = deployment(config__oauth_require_pkce=True, hub_environment__jupyterhub="6.0.1")
    assert chosen(hub) == "keep"


def test_the_plan_says_what_becomes_of_them() -> None:
    plan = make_plan(
        deployment(hub_environment__jupyterhub="1.5.1", database__servers=2), TARGET, host(), Policy()
    )
    [found] = [finding.found for finding in plan.findings if finding.id == "servers-running"]
    assert found == (
        "2 servers are registered as running; they are stopped. "
        "Servers of JupyterHub 1 do not work with a later hub."
    )
    steps = list(plan.steps)
    assert steps.index("Stop users' servers.") + 1 == next(
        number for number, step in enumerate(steps) if step.startswith("Stop jupyterhub.service")
    )
