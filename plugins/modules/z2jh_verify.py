#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_verify
short_description: Verifies the running hub of a Helm release of Zero to JupyterHub, and every person's volume
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - "Asks the hub in its pod: its version, and its users with a temporary token. Starts and stops a server of
    O(user), if given."
  - Compares users, volumes and users' servers with a recovery point. Each person whose volume is lost,
    replaced or joined by a second one is named.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
attributes:
  check_mode:
    description: Runs the same; a server is started and stopped only without check mode.
    support: full
  diff_mode:
    description: Changes nothing that stays.
    support: none
options:
  recovery_point:
    description: The id of the recovery point whose users the hub must know; the newest, when empty; none
      where there is none.
    type: str
    default: ""
  volumes_of:
    description: The id of the recovery point whose volumes and servers must still be there;
      O(recovery_point), when empty.
    type: str
    default: ""
  jupyterhub_version:
    description: The version that the hub must be; any, when empty.
    type: str
    default: ""
  user:
    description: The user whose server is started and stopped; none, when empty.
    type: str
    default: ""
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
- name: Verify
  hubops.jupyterhub.z2jh_verify:
    jupyterhub_version: 5.5.0
    user: ada
"""

RETURN = r"""
jupyterhub_version:
  description: The version that the hub has answered with.
  returned: success
  type: str
  sample: 5.5.0
users:
  description: How many users it has.
  returned: success
  type: int
  sample: 42
server:
  description: What became of the server of O(user).
  returned: success
  type: str
  sample: started and stopped
volumes:
  description: The table of users' volumes.
  returned: success
  type: list
  elements: dict
  sample: [{"user": "ada", "server": "", "claim": "claim-ada", "volume": "pvc-1", "phase": "Bound"}]
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
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import recovery
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Kubectl
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.guard import heartbeats
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import find
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.verification import verify


def act(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Ask the hub, and compare."""
    release = find(Access.from_params(params), params["release"])
    access = replace(Access.from_params(params), namespace=release.namespace)
    points = recovery.kept(Kubectl(access), release.name)
    point, volumes_of = None, None
    if points or params["recovery_point"]:
        point = recovery.choose(points, release.name, params["recovery_point"])
        volumes_of = recovery.choose(points, release.name, params["volumes_of"] or point.id)
    user = "" if check else params["user"]
    with contextlib.ExitStack() as stack:
        if params["run"]:
            stack.enter_context(heartbeats(access, release.name, params["run"], params["patience"]))
        found = verify(access, release, point, volumes_of, params["jupyterhub_version"], user)
    return {"changed": False, **to_dict(found)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            recovery_point=dict(type="str", default=""),
            volumes_of=dict(type="str", default=""),
            jupyterhub_version=dict(type="str", default=""),
            user=dict(type="str", default=""),
            run=dict(type="str", default=""),
            patience=dict(type="int", default=120),
        ),
        act,
    )


if __name__ == "__main__":
    main()
