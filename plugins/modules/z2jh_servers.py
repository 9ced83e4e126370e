#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_servers
short_description: Keeps, refuses or stops users' servers of a Helm release of Zero to JupyterHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Carries out what the plan has said of users' servers that run, just before an upgrade.
  - Servers are stopped by the hub itself, as by its page for administrators, with a temporary token. Volumes
    are not touched.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.attributes
options:
  running:
    description: V(keep) does nothing; V(refuse) fails while a server runs; V(stop) stops all, also those that
      are started meanwhile, and fails where one does not stop within 5 minutes.
    type: str
    choices: [keep, refuse, stop]
    default: keep
  run:
    description: The run of the guard that is given heartbeats meanwhile; none, when empty.
    type: str
    default: ""
  patience:
    description: The patience of that guard, in seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Stop users' servers
  hubops.jupyterhub.z2jh_servers:
    running: stop
"""

RETURN = r"""
stopped:
  description: The users whose servers were stopped, with the names of named servers.
  returned: success
  type: list
  elements: str
  sample: [ada, grace/work]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 3.0
"""

import contextlib
from dataclasses import replace
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import recovery
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Kubectl
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.findings import KEEP, REFUSE, STOP
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.guard import heartbeats
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import find
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.verification import (
    refuse_servers,
    stop_servers,
)


def act(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what the policy says."""
    if params["running"] == KEEP:
        return {"changed": False, "stopped": []}
    release = find(Access.from_params(params), params["release"])
    access = replace(Access.from_params(params), namespace=release.namespace)
    if params["running"] == REFUSE:
        refuse_servers(release)
    if params["running"] == REFUSE or not release.servers or check:
        return {"changed": bool(release.servers), "stopped": []}
    points = recovery.kept(Kubectl(access), release.name)
    with contextlib.ExitStack() as stack:
        if params["run"]:
            stack.enter_context(heartbeats(access, release.name, params["run"], params["patience"]))
        stopped = stop_servers(access, release, points[0] if points else None)
    return {"changed": bool(stopped), "stopped": stopped}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            running=dict(type="str", choices=[KEEP, REFUSE, STOP], default=KEEP),
            run=dict(type="str", default=""),
            patience=dict(type="int", default=120),
        ),
        act,
    )


if __name__ == "__main__":
    main()
