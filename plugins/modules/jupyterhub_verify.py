#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_verify
short_description: Proves that a JupyterHub works, in the version and environment it should
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Waits until the hub answers, then asks it for its version and interpreter and for its users, which it
    reads from its database, reaches it through its proxy, and waits until it runs the managed services that
    it ran when the deployment was described.
  - For these questions it writes a service, a role and a token that expires after 10 minutes into the hub's
    database, with the hub's own models and as the service's user, and removes them again. The database ends
    with the rows it had.
  - Lines of the log with errors, deprecations and options that the hub does not know are returned. They fail
    nothing.
  - Compares the hub with its single-user environments and its database, as
    M(hubops.jupyterhub.jupyterhub_version_match) does.
  - Starts no server, unless O(user) names somebody.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.mismatches
  - hubops.jupyterhub.proof
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description: Can run in check mode and say what it finds.
    support: partial
    details: >-
      Writes no token in check mode, so it asks for version, process and proxy only; and for nothing where the
      hub does not have O(version) yet.
options:
  version:
    description: The version that the hub must answer with. The deployment's, unless given.
    type: str
  environment:
    description:
      - Path of the Python environment that the hub must run in. The deployment's hub environment, unless
        given.
    type: path
  since:
    description:
      - Where in the service's log to begin, as returned in
        RV(hubops.jupyterhub.jupyterhub_service#module:log_mark).
      - Where the run has stopped the hub, or else the start of the hub's process, unless given.
    type: str
    default: ""
  timeout:
    description: Seconds to wait until the hub answers.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Prove that the hub runs as version 6.1.1
  hubops.jupyterhub.jupyterhub_verify:
    deployment: "{{ jupyterhub_deployment }}"
    version: "6.1.1"
"""

RETURN = r"""
version:
  description: Version that the running hub names.
  returned: success
  type: str
  sample: 6.1.1
sys_executable:
  description: Interpreter that the running hub names; null in check mode.
  returned: success
  type: str
  sample: /opt/jupyterhub/bin/python
main_pid:
  description: The hub's process.
  returned: success
  type: int
  sample: 4711
users:
  description: Number of users that the hub reads from its database; null in check mode.
  returned: success
  type: int
  sample: 200
match:
  description: The verdicts on single-user environments and database.
  returned: success
  type: dict
  sample: {"hub_version": "6.1.1", "environments": [], "database": null}
checks:
  description: What was done as a person does it, and how it ended or why it was left out.
  returned: success
  type: dict
  sample: {"login": "passed", "server": "passed", "kernel": "passed: 1 + 1 is 2, single-user 6.1.1"}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 1.2
errors:
  description: Lines of the log of level error or critical, and the last line of each traceback.
  returned: success
  type: list
  elements: str
  sample: []
deprecated:
  description: Lines of the log about what will not work any more.
  returned: success
  type: list
  elements: str
  sample: ["JupyterHub.extra_handlers is deprecated in JupyterHub 3.1."]
unrecognized:
  description: Lines of the log about options in the config that this version does not know.
  returned: success
  type: list
  elements: str
  sample: ["Config option `statsd_host` not recognized by `JupyterHub`."]
access:
  description: Lines of the log that say that the config lets nobody in.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.verification import prove
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Verify, unless check mode has left out what leads to the version."""
    deployment = from_dict(Deployment, params["deployment"])
    version = params["version"] or deployment.jupyterhub
    if check and version != deployment.jupyterhub:
        return {"changed": False, "skipped": True}
    return {"changed": False, **verified(deployment, params, version, may_write=not check)}


def verified(deployment: Deployment, params: dict[str, Any], version: str, may_write: bool) -> dict[str, Any]:
    """What the running hub was found to be, as a step of the run where there is one."""
    folder = state_folder(deployment.name, params["state_folder"])
    run = journal.recorded(folder, params["run"]) if params["run"] else None

    def ask() -> dict[str, Any]:
        return prove(
            deployment,
            version=version,
            revision=run.measured("migrate", "to_revision") if run else "",
            allow=params["allow"],
            without=[each.path for each in run.plan.left_out] if run and run.plan else [],
            environment=params["environment"] or "",
            since=params["since"] or (run.measured("stop", "log_mark") if run else ""),
            timeout=params["timeout"],
            watch=params["watch"],
            user=params["user"],
            checks=params["checks"],
            may_write=may_write,
        )

    return journal.step(folder, params["run"], "verify", ask, again=True) if params["run"] else ask()


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            version=dict(type="str"),
            environment=dict(type="path"),
            since=dict(type="str", default=""),
            timeout=dict(type="int", default=120),
            **arguments.PROOF,
            **arguments.MISMATCHES,
        ),
        apply,
    )


if __name__ == "__main__":
    main()
