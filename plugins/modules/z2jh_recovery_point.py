#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_recovery_point
short_description: Makes, compares and prunes recovery points of a Helm release of Zero to JupyterHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A recovery point has the release's objects as they are in the cluster, Helm's record of its revision, the
    table of users' volumes, and a copy of the hub's database.
  - It is kept in two Secrets of the release's namespace. So whoever reaches the cluster can go back.
  - The copy of a SQLite database is on the hub's own volume (C(hub.db.type) V(sqlite-pvc)). PostgreSQL, MySQL
    and MariaDB are dumped by a pod of the database's own image onto a claim beside the release,
    C(hubops-<release>-recovery), and the dump is tried in a server within that pod.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.database_evidence
  - hubops.jupyterhub.attributes
options:
  state:
    description:
      - V(present) makes one while the hub serves. The copy of the database is checked.
      - V(compared) says what restoring O(recovery_point) would lose. Only reads.
      - V(pruned) removes all but the newest O(keep).
    type: str
    choices: [present, compared, pruned]
    required: true
  recovery_point:
    description: The id of the one to compare; the newest, when empty.
    type: str
    default: ""
  fetch:
    description: Folder on the module's host for a copy of what V(present) has made, open to its owner alone;
      none, when empty.
    type: path
    default: ""
  database_image:
    description: An image of PostgreSQL, MySQL or MariaDB of the server's version, for a database on a server;
      that of the server's own pod where it runs in this cluster, when empty.
    type: str
    default: ""
  database_storage:
    description: Size of the claim for dumps of a database on a server, where it is not there yet.
    type: str
    default: 1Gi
  keep:
    description: How many V(pruned) leaves; at least one.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Make a recovery point
  hubops.jupyterhub.z2jh_recovery_point:
    state: present
    release: jhub
    namespace: jhub
"""

RETURN = r"""
recovery_point:
  description: The one that was made, or compared; its users are left out.
  returned: state=present without check mode, and state=compared
  type: dict
  sample: {"id": "20261129t180000z", "revision": 3, "chart_version": 3.3.8, "jupyterhub_version": 4.1.6}
lost_users:
  description: Users that the hub has now, and would not have after a restore.
  returned: state=compared
  type: list
  elements: str
  sample: [edsger]
summary:
  description: What restoring it would change and lose, as sentences.
  returned: state=compared
  type: list
  elements: str
  sample: ["Chart 4.4.0 (JupyterHub 5.5.0) becomes 3.3.8 (4.1.6)."]
removed:
  description: Ids of those that were removed.
  returned: state=pruned
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 4.2
"""

from dataclasses import replace
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import loss, recovery
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Kubectl
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import Evidence
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import find


def act(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what the state says."""
    release = find(Access.from_params(params), params["release"])
    access = replace(Access.from_params(params), namespace=release.namespace)
    if params["state"] == "compared":
        points = recovery.kept(Kubectl(access), release.name)
        point = recovery.choose(points, release.name, params["recovery_point"])
        lost = loss.compare(access, release, point)
        return {
            "changed": False,
            "recovery_point": shown(point),
            "lost_users": list(lost.users),
            "summary": list(lost.summary),
        }
    if check:
        return {"changed": True}
    if params["state"] == "pruned":
        removed = recovery.prune(access, release, params["keep"])
        return {"changed": bool(removed), "removed": removed}
    image, storage = params["database_image"], params["database_storage"]
    evidence = from_dict(Evidence, params["database_evidence"] or {})
    made = recovery.make(access, release, params["fetch"], image, storage, evidence)
    return {"changed": True, "recovery_point": shown(made)}


def shown(point: recovery.RecoveryPoint) -> dict[str, Any]:
    """A recovery point without the names of all users."""
    return to_dict(replace(point, database=replace(point.database, users=())))


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            state=dict(type="str", choices=["present", "compared", "pruned"], required=True),
            recovery_point=dict(type="str", default=""),
            fetch=dict(type="path", default=""),
            database_image=dict(type="str", default=""),
            database_storage=dict(type="str", default="1Gi"),
            **arguments.DATABASE_EVIDENCE,
            keep=dict(type="int", default=5),
        ),
        act,
    )


if __name__ == "__main__":
    main()
