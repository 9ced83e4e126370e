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
  - "Asks the hub in its pod, with a temporary token: its version, its users, the servers that ran."
  - Logs in as O(user), if given, starts a server, uses it and stops it, and reads its JupyterHub.
  - Compares users, volumes and users' servers with a recovery point. Each person whose volume is lost,
    replaced or joined by a second one is named.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
attributes:
  check_mode:
    description: Runs the same, but starts no server and writes no claim.
    support: full
  diff_mode:
    description: Shows in its summary what it has written.
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
    description:
      - The user who logs in, and whose server is started and stopped; none, when empty.
      - One whom the hub does not know, or whose name begins with C(hubops-), is removed afterwards, with the
        volume. A server that runs is left alone.
    type: str
    default: ""
  servers:
    description: Whether the servers that ran at O(volumes_of) must still run, and answer (V(kept)); with
      V(stopped) they are not looked at.
    type: str
    choices: [kept, stopped]
    default: kept
  stopped:
    description: Users whose servers were stopped since O(volumes_of), as C(user) or C(user/server), and are
      not looked at; what M(hubops.jupyterhub.z2jh_guard) returns by this name.
    type: list
    elements: str
    default: []
  fix_volumes:
    description:
      - Whether to write the claims of O(volumes_of) that the hub would not use any more back into its
        database, and to start the hub again; users' servers run on.
      - Without it the users are named in a warning.
    type: bool
    default: false
  digests:
    description: Which image each name has meant in the rehearsal, as M(hubops.jupyterhub.z2jh_rehearse)
      returns them. A hub of another one is named in a warning.
    type: dict
    default: {}
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
  sample: started in 7 s and stopped
single_user_version:
  description: The JupyterHub of that server; empty where it did not say.
  returned: success
  type: str
  sample: 5.5.0
answering:
  description: How many of the servers that ran before answer.
  returned: success
  type: int
  sample: 12
summary:
  description: What was verified, as a line.
  returned: success
  type: str
  sample: JupyterHub 5.5.0 answers, 42 users are there; 40 volumes are in place.
fixed:
  description: The servers whose claims were written back, as C(user) or C(user/server).
  returned: success
  type: list
  elements: str
  sample: [grace.h]
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
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.verification import (
    summary,
    verify,
)


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
        servers = volumes_of.servers if volumes_of and params["servers"] == "kept" else ()
        servers = tuple(each for each in servers if each.person not in params["stopped"])
        found = verify(
            access,
            release,
            point,
            volumes_of,
            params["jupyterhub_version"],
            user,
            servers,
            params["fix_volumes"] and not check,
            params["digests"],
        )
    return {"changed": bool(found.fixed), **to_dict(found), "summary": summary(found, user)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            recovery_point=dict(type="str", default=""),
            volumes_of=dict(type="str", default=""),
            jupyterhub_version=dict(type="str", default=""),
            user=dict(type="str", default=""),
            servers=dict(type="str", choices=["kept", "stopped"], default="kept"),
            stopped=dict(type="list", elements="str", default=[]),
            fix_volumes=dict(type="bool", default=False),
            digests=dict(type="dict", default={}),
            run=dict(type="str", default=""),
            patience=dict(type="int", default=120),
        ),
        act,
    )


if __name__ == "__main__":
    main()
