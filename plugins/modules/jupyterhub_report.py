#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_report
short_description: Writes down how an upgrade of JupyterHub went
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Composes the report of a run from what its phases returned.
  - Writes it on the hub's host, unless the run made no recovery point and so changed nothing.
extends_documentation_fragment:
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
    description: The deployment, as far as it was found.
    type: dict
    default: {}
  plan:
    description: The plan, as far as it was made.
    type: dict
    default: {}
  results:
    description: What each phase returned, by the name of the phase.
    type: dict
    default: {}
  recovery_point:
    description: The recovery point's folder.
    type: str
    default: ""
  run:
    description: The run's id, by which the report is filed.
    type: str
    default: ""
  failure:
    description: The failed task and the reason, or nothing.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Report
  hubops.jupyterhub.jupyterhub_report:
    deployment: "{{ jupyterhub_deployment }}"
    plan: "{{ jupyterhub_upgrade_plan }}"
    results:
      find: "{{ hub_facts_result }}"
"""

RETURN = r"""
report:
  description: How the run went.
  returned: always
  type: dict
  sample:
    outcome: upgraded
    check: false
    service: jupyterhub.service
    from_version: 4.1.6
    to_version: 6.1.1
    downtime_seconds: 4.2
    phases: [{"name": "stop", "seconds": 0.41, "result": "changed"}]
    backup: /var/lib/hubops/jupyterhub/recovery/20261120T211500Z-4.1.6-6.1.1
    warnings: []
    failure: null
path:
  description: Where the report is on the hub's host.
  returned: when it was written
  type: str
  sample: /var/lib/hubops/jupyterhub/runs/20261120T211502Z/report.json
"""

import json
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files, state


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec=dict(
            state_folder=dict(type="path"),
            run=dict(type="str", default=""),
            deployment=dict(type="dict", default={}),
            plan=dict(type="dict", default={}),
            results=dict(type="dict", default={}),
            recovery_point=dict(type="str", default=""),
            failure=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    composed = report.compose(
        params["results"],
        params["deployment"],
        params["plan"],
        params["recovery_point"],
        params["failure"],
        module.check_mode,
    )
    # A run that found no hub has no folder to write to, and one that changed nothing leaves no trace.
    if module.check_mode or not params["deployment"] or not params["recovery_point"]:
        module.exit_json(changed=False, report=composed)
    try:
        name = params["run"] or journal.new_id(datetime.now(timezone.utc))
        folder = (
            state.runs_folder(state.state_folder(params["deployment"]["name"], params["state_folder"])) / name
        )
        state.make_private(folder)
        files.write(folder / "report.json", (json.dumps(composed, indent=2) + "\n").encode())
    except HubError as error:
        module.fail_json(msg=str(error), report=composed)
    module.exit_json(changed=True, report=composed, path=str(folder / "report.json"))


if __name__ == "__main__":
    main()
