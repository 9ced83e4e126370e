#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_upgrade
short_description: Upgrades a Helm release of Zero to JupyterHub while a guard watches
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Runs C(helm upgrade) with the release's own values, or with O(values_files), and waits until the new hub
    is ready. A hub that does not start is a failure, with the end of its log.
  - It gives the guard its heartbeats. Helm is ended when the guard cannot be reached for half of its
    patience, and when this module is killed.
  - "Of a database on a server: the old hub is stopped first and the database dumped once more, as the hub
    has left it; the upgrade sets C(hub.db.upgrade), where JupyterHub changes, and a second C(helm upgrade)
    takes it out again."
  - It restores nothing by itself; M(hubops.jupyterhub.z2jh_guard) does.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.progress_file
  - hubops.jupyterhub.attributes
options:
  run:
    description: The run of the guard that was armed for this upgrade.
    type: str
    required: true
  chart_version:
    description: The version of the chart, not that of JupyterHub.
    type: str
    required: true
  chart:
    description: Its name in the repository, or a folder, a file or an C(oci://) reference.
    type: str
    default: jupyterhub
  chart_repository:
    description: URL of the chart's repository; not used for a folder, a file, C(oci://) and C(name/chart).
    type: str
    default: https://hub.jupyter.org/helm-chart/
  values_files:
    description: Files on the host with all values of the upgrade, later ones over earlier ones; the
      release's own, when empty.
    type: list
    elements: path
    default: []
  patience:
    description: The patience of the guard, in seconds.
    type: int
    default: 120
  timeout:
    description: Seconds that Helm and its hooks may take, and then the start of the hub.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Upgrade
  hubops.jupyterhub.z2jh_upgrade:
    run: "{{ armed.run }}"
    chart_version: 4.4.0
"""

RETURN = r"""
revision:
  description: The new revision in Helm's history.
  returned: success without check mode
  type: int
  sample: 4
jupyterhub_version:
  description: The version of JupyterHub that the chart has.
  returned: success without check mode
  type: str
  sample: 5.5.0
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 34.0
"""

from dataclasses import replace
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import (
    Access,
    Helm,
    Kubectl,
    chart_of,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.databases import database_of_backup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.guard import Meeting, heartbeats
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.recovery import (
    RecoveryPoint,
    choose,
    kept,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import find
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.upgrade import WatchedHelm, upgrade


def act(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Upgrade, and wait."""
    if check:
        return {"changed": True}
    access = Access.from_params(params)
    release = find(access, params["release"])
    access = replace(access, namespace=release.namespace)
    values = planner.supplied_values(Helm(access), release, planner.texts(params["values_files"]))
    chart = chart_of(params["chart"], params["chart_repository"], params["chart_version"])
    target, _defaults = planner.target_chart(Helm(access), chart)
    migrates = str(target.get("appVersion", "")) != release.jupyterhub_version
    progress = Progress(params["progress_file"])
    with heartbeats(access, release.name, params["run"], params["patience"]) as beats:
        point = recovery_point(access, release.name)
        database = database_of_backup(access, release.name, release.hub, point.database)
        database.seal(point.database, beats.require, progress)
        for each in database.upgrades(values, migrates):
            upgrade(WatchedHelm(access, beats), release, chart, each, params["timeout"], progress)
        newest = Helm(access).history(release.name)[-1]
    return {
        "changed": True,
        "revision": int(newest["revision"]),
        "jupyterhub_version": newest["app_version"],
    }


def recovery_point(access: Access, release: str) -> RecoveryPoint:
    """The recovery point that the guard would restore."""
    state = Meeting(access, release).read()
    return choose(kept(Kubectl(access), release), release, state.recovery_point if state else "")


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            **arguments.PROGRESS_FILE,
            run=dict(type="str", required=True),
            chart_version=dict(type="str", required=True),
            chart=dict(type="str", default="jupyterhub"),
            chart_repository=dict(type="str", default=planner.REPOSITORY),
            values_files=dict(type="list", elements="path", default=[]),
            patience=dict(type="int", default=120),
            timeout=dict(type="int", default=600),
        ),
        act,
    )


if __name__ == "__main__":
    main()
