#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_guard
short_description: Arms the guard that puts the old JupyterHub back, or accepts the new one
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - The guard is a program on the hub's host, without Ansible. It puts the old hub back when nothing is heard
    of the run for longer than its confirm timeout, or when the host was started anew in the middle of it.
  - Under systemd it is a service with a timer, which survives a reboot. Elsewhere it is a process of its own.
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
  state:
    description:
      - V(armed) tries the way back, as far as that is possible without taking it, makes the service manager
        heed the hold file, and puts the guard on duty.
      - V(accepted) keeps the new hub, and takes away what V(armed) has placed.
    type: str
    choices: [armed, accepted]
    required: true
  run:
    description: The run to guard, or to accept.
    type: str
    required: true
  recovery_point:
    description: The folder of the recovery point that the way back leads to.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Put the guard on duty
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
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 2.1
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import arming, rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for."""
    if check:
        return {"changed": True}
    folder = state_folder(params["deployment"]["name"], params["state_folder"])
    if params["state"] == "armed":
        arming.arm(folder, params["run"], Path(params["recovery_point"]))
        return {"changed": True}
    return {"changed": True, "outcome": rollback.accept(folder, params["run"])}


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec=dict(
            deployment=dict(type="dict", required=True),
            state_folder=dict(type="path"),
            state=dict(type="str", choices=["armed", "accepted"], required=True),
            run=dict(type="str", required=True),
            recovery_point=dict(type="path", default=""),
        ),
        required_if=[("state", "armed", ["recovery_point"])],
        supports_check_mode=True,
    )
    began = time.monotonic()
    try:
        result = apply(module.params, module.check_mode)
    except HubError as error:
        module.fail_json(msg=str(error), seconds=round(time.monotonic() - began, 3))
    for line in result.get("outcome", {}).get("left", []):
        module.warn(line)
    module.exit_json(seconds=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
