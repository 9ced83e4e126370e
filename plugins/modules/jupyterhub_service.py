#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_service
short_description: Stops a JupyterHub and keeps it down, or starts it and waits until it answers
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Stopping returns when the hub's main process is gone, starting when the hub answers over HTTP.
  - While the hub is held, the service manager refuses to start it. Under systemd this is a drop-in with
    C(AssertPathExists=), which survives a reboot. Within a run, a reboot also holds a hub that was started
    but not accepted yet.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.run
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes
attributes:
  diff_mode:
    description: Shows the service's state before and after.
    support: full
options:
  state:
    description:
      - V(stopped) holds the hub down, then stops it.
      - V(started) stops holding, starts the hub and waits until it answers.
    type: str
    choices: [stopped, started]
    required: true
  version:
    description: The version that a started hub must answer with; any, unless given.
    type: str
    default: ""
  reason:
    description: Why the hub is held; written into the hold file.
    type: str
    default: held by hubops.jupyterhub
  timeout:
    description: Seconds that stopping or starting may take.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Stop the hub and keep it down
  hubops.jupyterhub.jupyterhub_service:
    deployment: "{{ jupyterhub_deployment }}"
    state: stopped
    reason: upgrade to 6.1.1

- name: Start the hub and wait until it answers as 6.1.1
  hubops.jupyterhub.jupyterhub_service:
    deployment: "{{ jupyterhub_deployment }}"
    state: started
    version: "6.1.1"
"""

RETURN = r"""
stopped_at:
  description: When the hub was told to stop, in seconds since the epoch on the hub's host.
  returned: state=stopped
  type: float
  sample: 1763673001.25
log_mark:
  description: Where the hub's log ended before it was stopped.
  returned: state=stopped
  type: str
  sample: "s=6f0c;i=1f4"
answered_at:
  description: When the hub first answered, in seconds since the epoch on the hub's host.
  returned: state=started
  type: float
  sample: 1763673004.75
version:
  description: The version that the hub answered with.
  returned: state=started
  type: str
  sample: 6.1.1
main_pid:
  description: The hub's process.
  returned: state=started
  type: int
  sample: 4711
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.41
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Bring the hub to its ``state``, as a step of the run, or say whether that is a change."""
    deployment, wanted = from_dict(Deployment, params["deployment"]), params["state"]
    result = foretold(deployment, wanted, params["version"])
    if not check:
        folder = state_folder(deployment.name, params["state_folder"])
        name = {"stopped": "stop", "started": "start"}[wanted]
        result.update(journal.step(folder, params["run"], name, lambda: act(deployment, wanted, params)))
    return result


def foretold(deployment: Deployment, wanted: str, version: str) -> dict[str, Any]:
    """What check mode answers: whether ``wanted`` is a change, and the state before and after."""
    before = service_of(deployment.service).state()
    after = {"stopped": "stopped", "started": "running"}[wanted]
    # Another version than the one that was found cannot answer before the hub is started again.
    other_version = wanted == "started" and version not in ("", deployment.hub_environment.jupyterhub)
    changed = after != before or other_version
    return {"changed": changed, "diff": {"before": f"{before}\n", "after": f"{after}\n"}}


def act(deployment: Deployment, wanted: str, params: dict[str, Any]) -> dict[str, Any]:
    """Do what ``wanted`` says; what is known of it afterwards."""
    base, timeout = params["state_folder"], params["timeout"]
    if wanted == "stopped":
        return vars(lifecycle.stop(deployment, base, params["reason"], timeout))
    started = vars(lifecycle.start(deployment, base, params["version"], timeout))
    if not params["run"]:
        lifecycle.disarm(deployment, base)
    return started


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            state=dict(type="str", choices=["stopped", "started"], required=True),
            version=dict(type="str", default=""),
            reason=dict(type="str", default="held by hubops.jupyterhub"),
            timeout=dict(type="int", default=120),
        ),
        apply,
    )


if __name__ == "__main__":
    main()
