#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_singleuser
short_description: Upgrades the single-user environments of a host on which no hub runs, with its hub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Stages, exchanges, keeps and restores the environments that a hub's plan has for another host of
    single-user servers, as M(hubops.jupyterhub.jupyterhub_environment) does on the hub's own.
  - With the exchange a guard begins to watch on the host. When nothing has been heard of the upgrade for
    O(patience), it asks the hub for its version, and keeps or restores the environments accordingly. While
    the hub is away, it waits.
extends_documentation_fragment:
  - hubops.jupyterhub.environment_failures
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes
options:
  state:
    description:
      - V(staged) makes the new environments beside the old ones, which serve. In check mode it asks the
        installers which packages would change.
      - V(switched) exchanges them, and starts the guard.
      - V(kept) keeps the new ones for good, and removes the old ones of the upgrade before.
      - V(restored) puts the old ones in place, and removes what was staged.
      - V(settled) ends an exchange that an earlier run has left, as the version says that its hub runs.
    type: str
    choices: [staged, switched, kept, restored, settled]
    required: true
  environments:
    description:
      - The host's environments in RV(hubops.jupyterhub.jupyterhub_plan#module:plan.singleuser_hosts).
    type: list
    elements: dict
    default: []
  recovery_point_id:
    description: Id of the hub's recovery point, which becomes part of the old environments' names.
    type: str
    default: ""
  hub:
    description: The hub, by its name in the inventory.
    type: str
    default: ""
  hub_urls:
    description: Addresses of the hub's API, of which this host reaches at least one.
    type: list
    elements: str
    default: []
  from_version:
    description: The version of the old hub.
    type: str
    default: ""
  to_version:
    description: The version of the new hub.
    type: str
    default: ""
  patience:
    description: Seconds after which the guard looks what has become of the hub.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Exchange the environments of a compute node
  hubops.jupyterhub.jupyterhub_singleuser:
    state: switched
    environments: "{{ planned.environments }}"
    recovery_point_id: 20261120T211500Z-4.1.6-6.1.1
    hub: hub.example.org
    hub_urls: [http://hub.example.org:8081/hub/api]
    from_version: 4.1.6
    to_version: 6.1.1
  delegate_to: node1.example.org
"""

RETURN = r"""
environments:
  description: What staging has made of each environment.
  returned: state=staged
  type: list
  elements: dict
  sample: [{path: /opt/jupyter, changed: true, fault: ""}]
phase:
  description: How the host stands, V(switched), V(kept) or V(restored); empty where nothing was exchanged.
  returned: other states
  type: str
  sample: switched
reaches_hub:
  description: Whether the hub answered this host before the exchange.
  returned: state=switched
  type: bool
  sample: true
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.4
"""

import os
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    installer_options,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    PlannedEnvironment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.singleuser_hosts import (
    dry_run,
    exchange,
    guard_program,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.singleuser_hosts.record import NAME, Record
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import NICE
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Take the host to its ``state``; in check mode only staging says what it would change."""
    entries = tuple(from_dict(PlannedEnvironment, entry) for entry in params["environments"])
    wanted, point = params["state"], params["recovery_point_id"]
    if wanted == "staged":
        os.nice(NICE)
        failures, options = params["environment_failures"], installer_options(params, NAME)
        if check:
            return dry_run.stage(entries, options, failures)
        return transitions.apply("staged", entries, "", options, Progress(), failures=failures)
    if check:
        return {"changed": False, "phase": ""}
    return act(state_folder(NAME, params["state_folder"]), wanted, point, entries, params)


def act(
    folder: Path, wanted: str, point: str, entries: tuple[PlannedEnvironment, ...], params: dict[str, Any]
) -> dict[str, Any]:
    """The states that are kept on the host."""
    if wanted == "kept":
        return exchange.keep(folder, point)
    if wanted == "restored":
        return exchange.restore(folder, point, entries)
    if wanted == "settled":
        return exchange.settle(folder)
    record = Record(
        hub=params["hub"],
        recovery_point=point,
        from_version=params["from_version"],
        to_version=params["to_version"],
        hub_urls=tuple(params["hub_urls"]),
        patience=params["patience"],
        environments=entries,
    )
    return exchange.switch(folder, record, guard_program)


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.STATE_FOLDER,
            state=dict(
                type="str", choices=["staged", "switched", "kept", "restored", "settled"], required=True
            ),
            environments=dict(type="list", elements="dict", default=[]),
            recovery_point_id=dict(type="str", default=""),
            hub=dict(type="str", default=""),
            hub_urls=dict(type="list", elements="str", default=[]),
            from_version=dict(type="str", default=""),
            to_version=dict(type="str", default=""),
            patience=dict(type="int", default=600),
            **arguments.ENVIRONMENT_FAILURES,
            **arguments.INSTALLER,
        ),
        apply,
        required_if=[
            ("state", "switched", ["environments", "recovery_point_id", "to_version"]),
            ("state", "kept", ["recovery_point_id"]),
        ],
    )


if __name__ == "__main__":
    main()
