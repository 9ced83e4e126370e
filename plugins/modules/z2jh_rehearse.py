#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_rehearse
short_description: Rehearses an upgrade of Zero to JupyterHub's chart in the cluster, while the hub serves
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A Job in the release's namespace has the target's hub image, config, Secrets, service account and security
    context, and a copy of the hub's database on a volume of its own. The copy is migrated and compared, the
    new hub is started on it and asked for its users, groups and services, a user is let in by a token.
  - A copy of a database on a server is served by a second container of the pod, of the database's own image.
    The server itself is only read.
  - Users do not reach that hub, and it does not reach their servers. It has no proxy and no KubeSpawner, and
    starts no service.
  - A second Job has a container of each image that users' servers start from, as C(singleuser.image),
    C(singleuser.profileList) and the config have them, which prints the version of JupyterHub in it.
  - The Job, and all that was made for it, is removed afterwards. Should the module be killed, the Job removes
    itself two minutes after it has ended.
  - Runs where C(kubectl) and C(helm) are, usually on the controller. Does nothing in check mode.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.progress_file
attributes:
  check_mode:
    description: Nothing is rehearsed.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  chart_version:
    description: As for M(hubops.jupyterhub.z2jh_plan).
    type: str
    required: true
  chart:
    description: As for M(hubops.jupyterhub.z2jh_plan).
    type: str
    default: jupyterhub
  chart_repository:
    description: As for M(hubops.jupyterhub.z2jh_plan).
    type: str
    default: https://hub.jupyter.org/helm-chart/
  values_files:
    description: As for M(hubops.jupyterhub.z2jh_plan).
    type: list
    elements: path
    default: []
  accept:
    description: Ids of findings that shall not forbid the upgrade, where they may be accepted.
    type: list
    elements: str
    default: []
  database_image:
    description: As for M(hubops.jupyterhub.z2jh_recovery_point).
    type: str
    default: ""
  check_images:
    description:
      - Whether the images of users' servers are asked for their JupyterHub. A node pulls them for it.
    type: bool
    default: true
  timeout:
    description: Seconds until the pod must run, and until the hub must answer, each.
    type: int
    default: 600
  migration_timeout:
    description: Seconds that the migration of the copy may take.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Rehearse the upgrade to 4.4.0
  hubops.jupyterhub.z2jh_rehearse:
    chart_version: 4.4.0
    values_files: [config.yaml]
  register: rehearsed
"""

RETURN = r"""
findings:
  description: What the rehearsal has found, blockers first.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "rehearsal-start", "severity": "blocker", "found": "The new hub exited at its start."}]
blockers:
  description: The findings that forbid the upgrade, as sentences, each with the end of the new hub's log.
  returned: success
  type: list
  elements: str
  sample: ["rehearsal-start: The new hub exited at its start, with status 1."]
timings:
  description: Seconds of each part.
  returned: success
  type: dict
  sample: {"copy": 0.8, "migrate": 1.1, "start": 3.2, "stop": 0.3}
rows:
  description: Rows of each table before and after the migration of the copy.
  returned: success
  type: dict
  sample: {"users": {"before": 20, "after": 20}}
version:
  description: The version of JupyterHub that the new hub answered; empty where it did not.
  returned: success
  type: str
  sample: 5.5.0
images:
  description: The JupyterHub of each image that users' servers start from; empty where it is not known.
  returned: success
  type: dict
  sample: {"registry.example.org/teaching:2026": "5.5.0"}
digests:
  description: Which image each name has meant, the hub's first; empty where the cluster does not say.
  returned: success
  type: dict
  sample: {"registry.example.org/teaching:2026": "sha256:0123456789abcdef..."}
report:
  description: The findings as Markdown, for review.
  returned: success
  type: str
  sample: "## Rehearsal"
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 14.2
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import planner, rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, chart_of


def rehearsed(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """What the rehearsal has found."""
    if check:
        return {"changed": False, **rehearsal.Rehearsed().result(())}
    wanted = planner.Wanted(
        chart_of(params["chart"], params["chart_repository"], params["chart_version"]),
        planner.texts(params["values_files"]),
        tuple(params["accept"]),
    )
    seconds = rehearsal.Seconds(params["timeout"], params["migration_timeout"], params["timeout"])
    access, progress = Access.from_params(params), Progress(params["progress_file"])
    images, database_image = params["check_images"], params["database_image"]
    found = rehearsal.rehearse(access, params["release"], wanted, seconds, progress, images, database_image)
    return {"changed": False, **found.result(wanted.accept)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            **arguments.PROGRESS_FILE,
            chart_version=dict(type="str", required=True),
            chart=dict(type="str", default="jupyterhub"),
            chart_repository=dict(type="str", default=planner.REPOSITORY),
            values_files=dict(type="list", elements="path", default=[]),
            accept=dict(type="list", elements="str", default=[]),
            database_image=dict(type="str", default=""),
            check_images=dict(type="bool", default=True),
            timeout=dict(type="int", default=600),
            migration_timeout=dict(type="int", default=3600),
        ),
        rehearsed,
    )


if __name__ == "__main__":
    main()
