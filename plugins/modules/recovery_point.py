#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_point
short_description: Makes, seals, verifies, restores and removes recovery points of a JupyterHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A recovery point is a folder on the hub's host that says what the old state is, and holds what is needed
    to be there again.
  - Restoring makes the host equal to the recovery point. It changes only what differs, and may be repeated.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.retention
  - hubops.jupyterhub.attributes
attributes:
  diff_mode:
    description: Says what differs from the recovery point, for O(state=restored).
    support: partial
options:
  deployment:
    required: false
  state:
    description:
      - V(present) makes one while the hub serves, and compares it with its own checksums.
      - V(sealed) copies the database once more, into O(path), now that the hub has stopped.
      - V(verified) compares O(path) with its own checksums.
      - V(restored) makes the host equal to O(path), and starts the old hub. In a run it first stops the hub
        of O(deployment), whose address is held meanwhile.
      - V(absent) removes O(path), with the old environments that only it needs. It is refused while a run
        that would go back to it is not over.
      - V(pruned) removes all but the newest O(keep) recovery points, and those older than O(keep_days). The
        newest always stays, and so does the one that a run which is not over would go back to.
    type: str
    choices: [present, sealed, verified, restored, absent, pruned]
    required: true
  path:
    description: The recovery point's folder.
    type: path
  replaced:
    description:
      - The recovery point of the hub that V(restored) replaces in a run.
      - Its database is copied into it once more when that hub has stopped.
    type: path
  plan:
    description:
      - The plan of the upgrade that follows, as RV(hubops.jupyterhub.jupyterhub_plan#module:plan).
      - None for a mere backup.
    type: dict
    default: {}
  purpose:
    description:
      - What the recovery point is made for.
      - It decides what restoring one does that was never sealed. The database of a V(backup) is restored. One
        made for a change that has not reached the database leaves it as it is, unless it was migrated later.
      - What O(plan) does, V(upgrade) or V(move), and V(backup) without a plan, unless given.
    type: str
    choices: [upgrade, rollback, backup]
  environments:
    description:
      - Whether V(verified) also compares the old environments with their checksums.
      - They are kept beside the new ones, not in the recovery point. It reads every file of them.
    type: bool
    default: false
  homes:
    description: Folders with people's files to pack as well. They are never restored by themselves.
    type: list
    elements: path
    default: []
  fetch:
    description:
      - Folder on the controller for a copy of what V(present) has made.
      - The copy is open to its owner alone, and compared with its checksums, too.
    type: str
    default: ""
  timeout:
    description: Seconds that stopping, starting, or waiting for a lock of the database may take, each.
    type: int
    default: 120
  stop_timeout:
    description: Seconds that stopping the hub may take that V(restored) replaces in a run.
    type: int
    default: 120
  lock_timeout:
    description: Seconds that V(restored) waits for a lock of the database that it copies into O(replaced).
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Make a recovery point
  hubops.jupyterhub.recovery_point:
    deployment: "{{ jupyterhub_deployment }}"
    state: present
  register: made

- name: See that it is what it was
  hubops.jupyterhub.recovery_point:
    state: verified
    path: "{{ made.path }}"
"""

RETURN = r"""
path:
  description: The recovery point's folder; in check mode the folder it would be made in.
  returned: state=present
  type: str
  sample: /var/lib/hubops/jupyterhub/recovery/20261120T211500Z-4.1.6-6.1.1
copy:
  description: The folder of the copy on the controller.
  returned: when O(fetch) is given
  type: str
  sample: /home/ada/copies/hub.example.org/20261120T211500Z-4.1.6-6.1.1
database:
  description: What the manifest says of the database.
  returned: state=sealed
  type: dict
  sample: {"path": "/srv/jupyterhub/jupyterhub.sqlite", "revision": "0eee8c825d24", "sealed": true}
restored:
  description: Paths of what differed and was restored; in check mode, of what would be.
  returned: state=restored
  type: list
  elements: str
  sample: [/opt/jupyterhub, /srv/jupyterhub/jupyterhub.sqlite]
answered_at:
  description: When the old hub first answered, in seconds since the epoch on the hub's host.
  returned: state=restored
  type: float
  sample: 1763673004.75
version:
  description: The version that the hub answered with.
  returned: state=restored
  type: str
  sample: 4.1.6
removed:
  description: The recovery points that were removed.
  returned: state=pruned
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.2
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import read_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    recovery_point,
    retention,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for."""
    wanted, base, timeout = params["state"], params["state_folder"], params["timeout"]
    path = Path(params["path"] or "")
    if wanted == "present":
        folder = state.recovery_folder(state.state_folder(params["deployment"]["name"], base))
        if not params["run"]:
            journal.require_none(folder.parent)  # what would be kept may be half old and half new
        if check:
            return {"changed": True, "path": str(folder)}

        def create() -> dict[str, Any]:
            made = recovery_point.create(
                from_dict(Deployment, params["deployment"]),
                read_plan(params["plan"]),
                base,
                params["homes"],
                timeout,
                params["purpose"] or "",
                maker(folder.parent, params["run"]),
            )
            recovery_point.verify(made)
            return {"changed": True, "path": str(made)}

        return journal.prepare(folder.parent, params["run"], "backup", create)
    if wanted == "sealed":
        if check:
            return {"changed": True}
        return journal.step(
            recovery_point.state_folder_of(path),
            params["run"],
            "seal",
            lambda: {"changed": True, "database": to_dict(recovery_point.seal(path, timeout))},
        )
    if wanted == "verified":
        recovery_point.verify(path, params["environments"])
        return {"changed": False}
    if wanted == "restored":
        if check:
            return recovery_point.foretell(path)
        return rollback.restore(path, timeout, params["run"], replaced_of(params))
    if wanted == "absent":
        return {"changed": path.is_dir() if check else retention.remove(path)}
    folder = state.recovery_folder(state.state_folder(params["deployment"]["name"], base))
    choose = retention.surplus if check else retention.prune
    removed = choose(folder, params["keep"], params["keep_days"])
    return {"changed": bool(removed), "removed": [str(point) for point in removed]}


def replaced_of(params: dict[str, Any]) -> rollback.Replaced | None:
    """The hub that a restore replaces; None where a caller does not say."""
    if not params["deployment"]:
        return None
    return rollback.Replaced(
        from_dict(Deployment, params["deployment"]),
        Path(params["replaced"]) if params["replaced"] else None,
        params["stop_timeout"],
        params["lock_timeout"],
    )


def maker(state_folder: Path, run_id: str) -> dict[str, str]:
    """Who makes a recovery point: the run, and the person behind it."""
    if not run_id:
        return {}
    made_by = journal.mine(state_folder, run_id)
    return {"id": made_by.id, "user": made_by.user, "controller": made_by.controller}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            deployment=dict(type="dict"),
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            state=dict(
                type="str",
                choices=["present", "sealed", "verified", "restored", "absent", "pruned"],
                required=True,
            ),
            path=dict(type="path"),
            replaced=dict(type="path"),
            plan=dict(type="dict", default={}),
            homes=dict(type="list", elements="path", default=[]),
            purpose=dict(type="str", choices=["upgrade", "rollback", "backup"]),
            environments=dict(type="bool", default=False),
            fetch=dict(type="str", default=""),
            **arguments.RETENTION,
            timeout=dict(type="int", default=120),
            stop_timeout=dict(type="int", default=120),
            lock_timeout=dict(type="int", default=30),
        ),
        apply,
        required_if=[
            ("state", "present", ["deployment"]),
            ("state", "pruned", ["deployment"]),
            *((("state", wanted, ["path"])) for wanted in ("sealed", "verified", "restored", "absent")),
        ],
    )


if __name__ == "__main__":
    main()
