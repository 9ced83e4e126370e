#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_guard
short_description: Arms the guard that restores the old JupyterHub, or accepts the new one
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - The guard is a program on the hub's host, without Ansible. It restores the old hub when there
    was no heartbeat of the run for longer than its confirm timeout, when the host was rebooted during it, and
    at once when the program that carries out the outage was killed. A new hub that the host has verified is
    kept instead, unless the run says otherwise; see M(hubops.jupyterhub.jupyterhub_run).
  - Under systemd it is a service with a timer, which survives a reboot. Elsewhere it is a process of its own.
  - The new hub is accepted over a new connection, which shows that the host can still be reached.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.retention
  - hubops.jupyterhub.attributes
options:
  state:
    description:
      - V(armed) has the migration of the run's plan wait, tests the restore without doing it, makes the
        service manager heed the hold file, and starts the guard.
      - V(accepted) keeps the new hub, removes what V(armed) has placed, and recovery points past their time.
        It warns where the guard has accepted the new hub before. Then it makes the O(backup).
    type: str
    choices: [armed, accepted]
    required: true
  run:
    description: The run to guard, or to accept.
    type: str
    required: true
  recovery_point:
    description: The folder of the recovery point that a restore leads to, or that is copied to O(fetch).
    type: path
    default: ""
  fetch:
    description:
      - Folder on the controller for a copy of O(recovery_point), which has the last backup now, and of the
        O(backup).
    type: str
    default: ""
  backup:
    description:
      - Whether V(accepted) makes a recovery point of the hub that was upgraded, and tests its restore.
      - Where that fails, the run's record says why, and M(hubops.jupyterhub.jupyterhub_report) warns of it.
        The new hub stays.
    type: bool
    default: true
  lock_timeout:
    description: Seconds to wait for a lock of the database, for the O(backup).
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Install the guard
  hubops.jupyterhub.jupyterhub_guard:
    deployment: "{{ jupyterhub_deployment }}"
    state: armed
    run: "{{ jupyterhub_run.id }}"
    recovery_point: "{{ jupyterhub_recovery_point }}"
"""

RETURN = r"""
outcome:
  description: How the run ended.
  returned: state=accepted
  type: dict
  sample: {"ended": "new", "by": "the upgrade", "at": "2026-11-21T10:17:00+00:00", "reason": "", "left": []}
backup:
  description: The folder of the new hub's first recovery point.
  returned: state=accepted, where it was made
  type: str
  sample: /var/lib/hubops/jupyterhub/recovery/20261120T211613Z-6.1.1
copy:
  description: The folder of the copy of O(recovery_point) on the controller.
  returned: when O(fetch) is given
  type: str
  sample: /home/ada/copies/hub.example.org/20261120T211500Z-4.1.6-6.1.1
removed:
  description: The recovery points that were removed.
  returned: state=accepted
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 2.1
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.database import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    arming,
    first_backup,
    retention,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import (
    recovery_folder,
    state_folder,
)


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for."""
    if check:
        return {"changed": True}
    folder = state_folder(params["deployment"]["name"], params["state_folder"])
    return arm(folder, params) if params["state"] == "armed" else accept(folder, params)


def arm(folder: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Have everything ready that the outage needs, and the guard."""
    plan = journal.mine(folder, params["run"]).plan
    if plan and plan.outage and plan.migrating_environment and not plan.fresh_database:
        journal.prepare(folder, params["run"], "prepare", lambda: prepare(folder, params, plan))
    return {"changed": arming.arm(folder, params["run"], Path(params["recovery_point"]))}


def prepare(folder: Path, params: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Have the migration of the outage wait, with everything imported."""
    deployment = from_dict(Deployment, params["deployment"])
    changed = migration.prepare(
        database_of(deployment, Path(params["recovery_point"])),
        service_of(deployment.service).context(),
        plan.migrating_environment,
        folder,
        intermediate=[each.staged_path for each in plan.intermediate_versions],
    )
    return {"changed": changed}


def accept(folder: Path, params: dict[str, Any]) -> dict[str, Any]:
    """The new hub stays. What cannot be removed or backed up then is no reason to go back."""
    outcome = rollback.accept(folder, params["run"])
    removed, left = [], outcome["left"]
    if outcome["by"] not in ("the upgrade", "the rollback"):
        left.append(f"The new hub was accepted already, by {outcome['by']}: {outcome['reason']}.")
    try:
        points = retention.prune(recovery_folder(folder), params["keep"], params["keep_days"])
        removed = [str(point) for point in points]
    except HubError as error:
        left.append(str(error))
    made = first_backup.make(folder, params["run"], params["lock_timeout"]) if params["backup"] else None
    backup = {"backup": str(made)} if made else {}
    return {"changed": True, "outcome": outcome, "removed": removed, **backup, "warnings": list(left)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            state=dict(type="str", choices=["armed", "accepted"], required=True),
            run=dict(type="str", required=True),
            recovery_point=dict(type="path", default=""),
            fetch=dict(type="str", default=""),
            backup=dict(type="bool", default=True),
            lock_timeout=dict(type="int", default=30),
            **arguments.RETENTION,
        ),
        apply,
        required_if=[("state", "armed", ["recovery_point"])],
    )


if __name__ == "__main__":
    main()
