#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_plan
short_description: Says what an upgrade of JupyterHub would do, and what forbids it
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Compares the deployment with the wanted version, and returns the plan with all that speaks against it.
  - Shows the plan, and keeps it as the fact C(jupyterhub_upgrade_plan).
  - Writes nothing. The package index is asked for the wanted version, and for what the environments would
    become with it (a dry run of the installer), unless they have all that is wanted.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.state_folder
attributes:
  check_mode:
    description: Can run in check mode and say what it would change.
    support: full
  diff_mode:
    description: There is nothing to compare, since nothing is changed.
    support: none
options:
  version:
    description: The version that the hub should run.
    type: str
    required: true
  python:
    description: Interpreter on the host for the new environments; the old ones', unless given.
    type: str
    default: ""
  packages:
    description: Requirements to install along with the hub, such as V(oauthenticator>=17).
    type: list
    elements: str
    default: []
  user_packages:
    description: Requirements to install along in the single-user environments.
    type: list
    elements: str
    default: []
  strategy:
    description:
      - V(auto) stages a new environment beside the old one where there is room.
      - V(in_place) upgrades the old one within the outage.
    type: str
    choices: [auto, in_place]
    default: auto
  accept:
    description:
      - Ids of findings that shall not forbid the upgrade, where they may be accepted (docs/findings.md).
      - One that no check knows is an error.
    type: list
    elements: str
    default: []
  verify_user:
    description:
      - The user whose server M(hubops.jupyterhub.jupyterhub_verify) is going to start; that the hub has none
        of this name is a finding.
    type: str
    default: ""
  details:
    description: Whether to show why each note matters, and the steps.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Plan the upgrade to 6.1.1
  hubops.jupyterhub.jupyterhub_plan:
    deployment: "{{ jupyterhub_deployment }}"
    version: "6.1.1"
  register: planned
"""

RETURN = r"""
plan:
  description: What would be done. Findings are sorted, blockers first.
  returned: success
  type: dict
  sample:
    action: upgrade
    from_version: 4.1.6
    to_version: 6.1.1
    outage: true
    migrate: true
    environments:
      - path: /opt/jupyterhub
        role: hub
        strategy: copy
        python: /opt/jupyterhub/bin/python
        staged_path: /opt/jupyterhub.staged-6.1.1
        jupyterhub: 4.1.6
        requirements: ["jupyterhub==6.1.1"]
    state_folder: /var/lib/hubops/jupyterhub
    recovery_point_folder: /var/lib/hubops/jupyterhub/recovery
    bytes_needed: {"/opt": 600000000, "/var/lib/hubops/jupyterhub": 2000000}
    findings:
      - id: kill-mode
        severity: warning
        found: c.JupyterHub.cleanup_servers is False, and jupyterhub.service has KillMode=control-group.
        why: systemd ends every process of the unit when it stops, whatever cleanup_servers says.
        fix: Set KillMode=process in the unit, and daemon-reload, before the upgrade.
        accept: false
    steps: ["Stage jupyterhub==6.1.1 in /opt/jupyterhub.staged-6.1.1."]
blockers:
  description: The findings that forbid the upgrade, as sentences.
  returned: success
  type: list
  elements: str
  sample: ["downgrade: The hub runs JupyterHub 6.1.1, which is newer than 5.4.6. An upgrade never goes down."]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 1.1
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    INSTALLER_ARGUMENTS,
    installer_options,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import plan, planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import sentence
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases import versions


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec=dict(
            deployment=dict(type="dict", required=True),
            state_folder=dict(type="path"),
            version=dict(type="str", required=True),
            python=dict(type="str", default=""),
            packages=dict(type="list", elements="str", default=[]),
            user_packages=dict(type="list", elements="str", default=[]),
            strategy=dict(type="str", choices=["auto", "in_place"], default="auto"),
            accept=dict(type="list", elements="str", default=[]),
            verify_user=dict(type="str", default=""),
            details=dict(type="bool", default=False),
            **INSTALLER_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    began = time.monotonic()
    params = module.params
    deployment = params["deployment"]
    try:
        versions.parse_release(params["version"])
        policy = Policy(
            **{
                key: params[key]
                for key in ("strategy", "python", "packages", "user_packages", "accept", "verify_user")
            }
        )
        made = planner.plan(
            deployment, params["version"], policy, installer_options(params), params["state_folder"]
        )
    except HubError as error:
        module.fail_json(msg=str(error), seconds=round(time.monotonic() - began, 3))
    blockers = [f"{finding['id']}: {sentence(finding)}" for finding in plan.blockers(made)]
    module.exit_json(changed=False, plan=made, blockers=blockers, seconds=round(time.monotonic() - began, 3))


if __name__ == "__main__":
    main()
