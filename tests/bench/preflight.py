"""How long finding and planning keep a host busy."""

from __future__ import annotations

import re

from tests.testbed import Hub

from .procedures import CONNECTION, VERSION


def preflight_seconds(hub: Hub) -> float:
    """Seconds of the host's own work: the hub found, all findings made, the resolver's dry run included.

    What Ansible needs to get there is not in it; it is the same for every task.
    """
    variables = {"jupyterhub_version": VERSION, "ansible_connection": CONNECTION}
    said = hub.playbook("../tests/bench/preflight.yml", variables).stdout
    measured = re.search(r"measured ([\d.]+) ([\d.]+)", said)
    assert measured, said
    return float(measured[1]) + float(measured[2])
