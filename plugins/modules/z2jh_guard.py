#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_guard
short_description: Arms, accepts or asks the guard that restores a Helm release of Zero to JupyterHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - The guard is a Job in the release's namespace, in the hub's own image. It restores the old release when
    it is asked to, and when no heartbeat of the controller has come for O(patience) seconds. It needs no
    controller and no Helm.
  - "The order of a restore is fixed: the hub is scaled to 0, its database put back, the release's objects
    and Helm's record put back, the hub started. Users' volumes are not touched."
  - It may read and change the objects of the release by name, and no other Secret.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.progress_file
  - hubops.jupyterhub.attributes
options:
  state:
    description:
      - V(armed) starts the guard, and returns when it watches. It is refused while there is another one.
      - V(accepted) keeps the new release, and removes the guard.
      - V(restored) has it restore the old release, waits, puts back what is outside of namespaces, and
        removes the guard. Nothing is done where O(run) has none. Users' servers that were started since, and
        which the old hub does not know, are stopped.
      - V(resumed) ends a run that was cut off, whoever began it, and a revision that a killed Helm has left
        pending. It is refused while another controller is at work.
    type: str
    choices: [armed, accepted, restored, resumed]
    required: true
  run:
    description: The run that V(armed) has returned, for V(accepted) and V(restored).
    type: str
    default: ""
  recovery_point:
    description: The id of the recovery point that a restore leads to; the newest, when empty.
    type: str
    default: ""
  chart:
    description: As for M(hubops.jupyterhub.z2jh_upgrade).
    type: str
    default: jupyterhub
  chart_version:
    description:
      - As for M(hubops.jupyterhub.z2jh_upgrade). What that chart adds to the release, a restore removes.
      - What the present release has beyond the recovery point is removed, when empty.
    type: str
    default: ""
  chart_repository:
    description: As for M(hubops.jupyterhub.z2jh_upgrade).
    type: str
    default: https://hub.jupyter.org/helm-chart/
  values_files:
    description: As for M(hubops.jupyterhub.z2jh_upgrade).
    type: list
    elements: path
    default: []
  reason:
    description: Why V(restored) is asked for.
    type: str
    default: asked to
  patience:
    description: Seconds without a heartbeat after which the guard restores the old release.
    type: int
    default: 120
  timeout:
    description: Seconds to wait for a restore. The guard goes on after them.
    type: int
    default: 900
  pending_seconds:
    description: After how many seconds V(resumed) takes a Helm that has left a revision pending to be dead.
    type: int
    default: 600
  database_restored:
    description: For V(resumed), that a person has restored the database for which a guard waits, or that it
      is what it was. The old hub starts then.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Arm the guard
  hubops.jupyterhub.z2jh_guard:
    state: armed
    chart_version: 4.4.0
  register: armed

- name: Restore the old release
  hubops.jupyterhub.z2jh_guard:
    state: restored
    run: "{{ armed.run }}"
"""

RETURN = r"""
run:
  description: The run that the guard belongs to.
  returned: state=armed without check mode
  type: str
  sample: 20261129t180000z-1795975200
outcome:
  description: V(restored), V(accepted), V(healed) where a pending revision was ended, or empty where there
    was nothing to do.
  returned: state=restored and state=resumed
  type: str
  sample: restored
reason:
  description: Why.
  returned: state=restored and state=resumed
  type: str
  sample: no heartbeat of the controller for 120 s
recovery_point:
  description: The id of the recovery point that was restored.
  returned: state=restored and state=resumed
  type: str
  sample: 20261129t180000z
database:
  description: Which copy of the database was put back, and what it holds.
  returned: state=restored and state=resumed
  type: dict
  sample: {"used": "the copy that the hub made before its migration", "revision": "4621fec11365"}
stopped:
  description: Whose servers were stopped after a restore, as C(user) or C(user/server). They were started
    since the recovery point, and the old hub does not know them.
  returned: state=restored and state=resumed
  type: list
  elements: str
  sample: [ada]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 21.5
"""

import time
from dataclasses import replace
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import guard, planner, recovery
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import (
    Access,
    Helm,
    Kubectl,
    chart_of,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.databases import database_of_backup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Release, find
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.rendering import objects


def act(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what the state says."""
    if params["state"] in ("accepted", "restored") and (check or not params["run"]):
        return {"changed": False, **to_dict(guard.Resumed(""))}
    release = find(Access.from_params(params), params["release"])
    access = replace(Access.from_params(params), namespace=release.namespace)
    if check:
        return {"changed": False, **to_dict(guard.Resumed(""))}
    if params["state"] == "armed":
        return {"changed": True, "run": arm(access, release, params)}
    if params["state"] == "accepted":
        guard.accept(access, release.name, params["run"])
        return {"changed": True}
    if params["state"] == "resumed":
        ended = guard.resume(
            access,
            release,
            params["timeout"],
            params["pending_seconds"],
            time.time(),
            params["database_restored"],
        )
    else:
        progress = Progress(params["progress_file"])
        reason, timeout = params["reason"], params["timeout"]
        ended = guard.finish(access, release.name, params["run"], reason, timeout, progress)
    return {"changed": bool(ended.outcome), **to_dict(ended)}


def arm(access: Access, release: Release, params: dict[str, Any]) -> str:
    """Arm the guard; its run."""
    helm = Helm(access)
    point = recovery.choose(
        recovery.kept(Kubectl(access), release.name), release.name, params["recovery_point"]
    )
    if params["chart_version"]:
        chart = chart_of(params["chart"], params["chart_repository"], params["chart_version"])
        values = planner.supplied_values(helm, release, planner.texts(params["values_files"]))
        wanted = objects(helm, helm.template(release.name, chart, values, release.kubernetes_version))
        present = objects(helm, helm.manifest(release.name, release.deployed_revision))
        database = database_of_backup(access, release.name, release.hub, point.database)
        database.require_kept(point.database, values, wanted, present)
    else:
        wanted = objects(helm, helm.manifest(release.name, release.revision))
    return guard.arm(
        access,
        point,
        lambda old: recovery.added_objects(access, wanted, old),
        release.revision,
        params["patience"],
    )


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            **arguments.PROGRESS_FILE,
            state=dict(type="str", choices=["armed", "accepted", "restored", "resumed"], required=True),
            run=dict(type="str", default=""),
            recovery_point=dict(type="str", default=""),
            chart=dict(type="str", default="jupyterhub"),
            chart_version=dict(type="str", default=""),
            chart_repository=dict(type="str", default=planner.REPOSITORY),
            values_files=dict(type="list", elements="path", default=[]),
            reason=dict(type="str", default="asked to"),
            patience=dict(type="int", default=120),
            timeout=dict(type="int", default=900),
            pending_seconds=dict(type="int", default=600),
            database_restored=dict(type="bool", default=False),
        ),
        act,
    )


if __name__ == "__main__":
    main()
