#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_outage
short_description: Has the host carry out the outage of an upgrade, and waits for its end
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A program on the hub's host, which was installed with the guard, attends to users' servers as the plan
    says, stops the hub, backs up its database, upgrades what could not be staged, migrates, switches to the
    new environments, starts the hub and verifies it. It takes the steps that the run's plan needs, and needs
    no connection for them.
  - Meanwhile the hub's proxy, if it is configurable-http-proxy on this host, answers a page for the hub.
  - Where a step fails, or takes longer than it may, the program restores the old hub, and the task fails with
    the reason of the step. Where the program is killed, the guard restores the old hub at once.
  - The new hub is verified then, and remains to be accepted with M(hubops.jupyterhub.jupyterhub_guard).
  - For a run whose outage is under way the module only waits for its end.
  - The step that the host is at is shown after one second, two, four and so on.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.mismatches
  - hubops.jupyterhub.proof
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description: Returns changed status, and begins nothing.
options:
  run:
    description: The run, with an active guard.
    type: str
    required: true
  stop_timeout:
    description: Seconds that stopping the hub may take.
    type: int
    default: 120
  lock_timeout:
    description: Seconds to wait for a lock of the database.
    type: int
    default: 30
  migration_timeout:
    description: Seconds that the migration may take.
    type: int
    default: 3600
  database_sessions:
    description:
      - Whether others' sessions in the hub's database are ended once the hub has stopped, V(end). They are
        refused by M(hubops.jupyterhub.jupyterhub_plan) otherwise.
    type: str
    choices: [refuse, end]
    default: refuse
  start_timeout:
    description: Seconds that starting the hub may take, and a server of O(user), each.
    type: int
    default: 120
  servers_idle:
    description: Seconds for which nobody must have used a user's server, where the plan waits for that.
    type: int
    default: 900
  servers_deadline:
    description: Seconds that it waits for that. Servers that are still in use then are named, and stopped.
    type: int
    default: 3600
  servers_timeout:
    description: Seconds that stopping all users' servers may take, and starting them again.
    type: int
    default: 300
  restart_servers:
    description: Whether to start the servers again that were stopped, once the new hub is verified.
    type: bool
    default: false
  wait:
    description: Seconds after which the module returns, whatever the host does; set by the action plugin.
    type: int
"""

EXAMPLES = r"""
- name: Carry out the outage
  hubops.jupyterhub.jupyterhub_outage:
    deployment: "{{ jupyterhub_deployment }}"
    run: "{{ jupyterhub_run.id }}"
    watch: 30
"""

RETURN = r"""
verified:
  description: Whether the new hub is verified; V(false) where O(wait) was over before.
  returned: success, not in check mode
  type: bool
  sample: true
record:
  description: The run's record on the host, which says what that does.
  returned: where the new hub is not verified yet
  type: str
  sample: /var/lib/hubops/jupyterhub/run.json
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 38.2
"""

import os
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    installer_options,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import outage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.outage_steps import Settings
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import run_file, state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Have the host carry out the outage, and wait."""
    if check:
        return {"changed": True}
    folder = state_folder(params["deployment"]["name"], params["state_folder"])
    settings = Settings(
        stop_timeout=params["stop_timeout"],
        lock_timeout=params["lock_timeout"],
        migration_timeout=params["migration_timeout"],
        start_timeout=params["start_timeout"],
        watch=params["watch"],
        user=params["user"],
        checks=tuple(params["checks"]),
        allow=tuple(params["allow"]),
        installer=installer_options(params),
        database_sessions=params["database_sessions"],
        variables=dict(os.environ),
        servers_idle=params["servers_idle"],
        servers_deadline=params["servers_deadline"],
        servers_timeout=params["servers_timeout"],
        restart_servers=params["restart_servers"],
    )
    wait = float("inf") if params["wait"] is None else params["wait"]
    run = outage.conduct(folder, params["run"], settings, wait)
    verified = run.phase in (journal.VERIFIED, journal.ACCEPTED)
    record = {} if verified else {"record": str(run_file(folder))}
    return {"changed": True, "verified": verified, **record}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            run=dict(type="str", required=True),
            stop_timeout=dict(type="int", default=120),
            lock_timeout=dict(type="int", default=30),
            migration_timeout=dict(type="int", default=3600),
            start_timeout=dict(type="int", default=120),
            **arguments.DATABASE_SESSIONS,
            **arguments.PROOF,
            **arguments.MISMATCHES,
            **arguments.INSTALLER,
            servers_idle=dict(type="int", default=900),
            servers_deadline=dict(type="int", default=3600),
            servers_timeout=dict(type="int", default=300),
            restart_servers=dict(type="bool", default=False),
            wait=dict(type="int"),
        ),
        apply,
    )


if __name__ == "__main__":
    main()
