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
attributes:
  check_mode:
    description: Can run in check mode and say what it would change.
    support: full
  diff_mode:
    description: There is no meaningful text to compare.
    support: none
options:
  deployment:
    required: false
  state:
    description:
      - V(present) makes one while the hub serves.
      - V(sealed) copies the database once more, into O(path), now that the hub has stopped.
      - V(verified) compares O(path) with its own checksums.
      - V(restored) makes the host equal to O(path), and starts the old hub.
      - V(pruned) removes all but the newest O(keep) recovery points.
    type: str
    choices: [present, sealed, verified, restored, pruned]
    required: true
  path:
    description: The recovery point's folder.
    type: path
  plan:
    description:
      - The plan of the upgrade that follows, as RV(hubops.jupyterhub.jupyterhub_plan#module:plan).
      - None for a mere backup.
    type: dict
    default: {}
  homes:
    description: Folders with people's files to pack as well. They are never restored by themselves.
    type: list
    elements: path
    default: []
  keep:
    description: How many recovery points to keep.
    type: int
    default: 5
  timeout:
    description: Seconds that stopping, starting, or waiting for a lock of the database may take, each.
    type: int
    default: 120
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
database:
  description: What the manifest says of the database.
  returned: state=sealed
  type: dict
  sample: {"path": "/srv/jupyterhub/jupyterhub.sqlite", "revision": "0eee8c825d24", "sealed": true}
restored:
  description: What differed and was put back.
  returned: state=restored
  type: list
  elements: str
  sample: [environments, database]
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

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hubops.jupyterhub.plugins.module_utils import recovery_point, state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError


def run(module: AnsibleModule) -> dict[str, object]:
    """Do what ``state`` asks for."""
    params = module.params
    wanted, base, timeout = params["state"], params["state_folder"], params["timeout"]
    deployment, path = params["deployment"], Path(params["path"] or "")
    if wanted == "present":
        folder = state.recovery_folder(state.state_folder(deployment, base))
        if module.check_mode:
            return {"changed": True, "path": str(folder)}
        made = recovery_point.create(deployment, params["plan"], base, params["homes"], timeout)
        return {"changed": True, "path": str(made)}
    if wanted == "sealed":
        return (
            {"changed": True}
            if module.check_mode
            else {
                "changed": True,
                "database": recovery_point.seal(path, timeout),
            }
        )
    if wanted == "verified":
        recovery_point.verify(path)
        return {"changed": False}
    if wanted == "restored":
        return {"changed": True} if module.check_mode else recovery_point.restore(path, timeout)
    folder = state.recovery_folder(state.state_folder(deployment, base))
    if module.check_mode:
        surplus = recovery_point.surplus(folder, params["keep"])
        return {"changed": bool(surplus), "removed": [str(point) for point in surplus]}
    removed = recovery_point.prune(folder, params["keep"])
    return {"changed": bool(removed), "removed": [str(point) for point in removed]}


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec=dict(
            deployment=dict(type="dict"),
            state_folder=dict(type="path"),
            state=dict(
                type="str", choices=["present", "sealed", "verified", "restored", "pruned"], required=True
            ),
            path=dict(type="path"),
            plan=dict(type="dict", default={}),
            homes=dict(type="list", elements="path", default=[]),
            keep=dict(type="int", default=5),
            timeout=dict(type="int", default=120),
        ),
        required_if=[
            ("state", "present", ["deployment"]),
            ("state", "pruned", ["deployment"]),
            ("state", "verified", ["path"]),
        ],
        supports_check_mode=True,
    )
    began = time.monotonic()
    try:
        result = run(module)
    except HubError as error:
        module.fail_json(msg=str(error), seconds=round(time.monotonic() - began, 3))
    module.exit_json(seconds=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
