#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_environment
short_description: Stages new Python environments beside the old ones, exchanges them, restores the old ones
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Staging copies an environment, or builds it again for another interpreter, installs what the plan asks for
    and proves that the result imports JupyterHub. The hub serves from the old one, which is only read.
  - Switching exchanges the two folders. Restoring is the same exchange, so it needs no package index.
  - Which environment is in place is read from the environments themselves, so each state can be asked for
    again after an interruption.
  - While it stages, a line of progress is shown about every second.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.environment_failures
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.progress_file
  - hubops.jupyterhub.attributes
attributes:
  diff_mode:
    description: Shows the packages before and after, where they are known.
    support: full
options:
  state:
    description:
      - V(staged) makes the new environments, complete and proven.
      - V(switched) puts them in place; the old ones are kept beside them.
      - V(restored) puts the old ones in place, from wherever a switch has got to.
      - V(absent) removes staged environments that are not in place.
    type: str
    choices: [staged, switched, restored, absent]
    required: true
  environments:
    description: C(environments) of the plan that M(hubops.jupyterhub.jupyterhub_plan) returned.
    type: list
    elements: dict
    required: true
  recovery_point_id:
    description:
      - Id of the recovery point that the switch belongs to; it becomes part of the old environments' names.
      - Required when O(state) is V(switched) or V(restored).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stage the new environments while the hub serves
  hubops.jupyterhub.jupyterhub_environment:
    deployment: "{{ jupyterhub_deployment }}"
    state: staged
    environments: "{{ jupyterhub_plan.environments }}"

- name: Switch to them while the hub is down
  hubops.jupyterhub.jupyterhub_environment:
    deployment: "{{ jupyterhub_deployment }}"
    state: switched
    environments: "{{ jupyterhub_plan.environments }}"
    recovery_point_id: 20261120T211500Z-4.1.6-6.1.1

- name: Go back to the old ones
  hubops.jupyterhub.jupyterhub_environment:
    deployment: "{{ jupyterhub_deployment }}"
    state: restored
    environments: "{{ jupyterhub_plan.environments }}"
    recovery_point_id: 20261120T211500Z-4.1.6-6.1.1
"""

RETURN = r"""
environments:
  description: What has become of each environment.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the environment is used from.
      type: str
      sample: /opt/jupyterhub
    staged_path:
      description: Where the new one is before the switch.
      type: str
      sample: /opt/jupyterhub.staged-6.1.1
    aside:
      description: Where the old one is after the switch.
      type: str
      returned: state=switched or state=restored
      sample: /opt/jupyterhub.before-20261120T211500Z-4.1.6-6.1.1
    strategy:
      description: How it is made.
      type: str
      sample: copy
    changed:
      description: Whether this one has changed.
      type: bool
      sample: true
    packages_before:
      description: Packages in place before, by name.
      type: dict
      sample: {jupyterhub: 4.1.6, alembic: 1.13.1}
    packages_after:
      description: Packages of the new environment (staged), or in place afterwards (other states), by name.
      type: dict
      sample: {jupyterhub: 6.1.1, alembic: 1.13.1}
    changes:
      description: Packages that differ; V(null) stands for not installed.
      type: list
      elements: dict
      sample: [{name: jupyterhub, from: 4.1.6, to: 6.1.1}]
    seconds:
      description: How long it took.
      type: float
      sample: 6.2
    warnings:
      description: What an administrator should know, such as versions that had to change for another Python.
      type: list
      elements: str
      sample: ["cffi 1.15.1 became 1.17.1 for the new Python."]
    replaced:
      description: Why one that was staged before could not be taken, and was built again; else empty.
      type: str
      sample: /opt/jupyterhub has changed since
    fault:
      description: Why it could not be staged, with O(environment_failures=report); else empty.
      type: str
      sample: ""
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 6.4
"""

import os
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    installer_options,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import IN_PLACE, planned
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import NICE
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Take each environment to its ``state``."""
    return transition(params, Progress(None if check else params["progress_file"]), check)


def transition(params: dict[str, Any], progress: Progress, check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for; within a run, switching is a step of its outage."""
    entries = [planned(entry) for entry in params["environments"]]

    def work() -> dict[str, Any]:
        return transitions.apply(
            params["state"],
            entries,
            params["recovery_point_id"],
            installer_options(params),
            progress,
            check,
            params["environment_failures"],
        )

    folder = state_folder(params["deployment"]["name"], params["state_folder"])
    if check:
        return work()
    if params["state"] == "switched" and params["run"]:
        in_place = any(entry.strategy == IN_PLACE for entry in entries)
        return journal.step(folder, params["run"], "upgrade in place" if in_place else "switch", work)
    if params["state"] == "staged":
        os.nice(NICE)
    return journal.prepare(folder, params["run"], "stage", work)


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            state=dict(type="str", choices=["staged", "switched", "restored", "absent"], required=True),
            environments=dict(type="list", elements="dict", required=True),
            recovery_point_id=dict(type="str", default=""),
            **arguments.ENVIRONMENT_FAILURES,
            **arguments.INSTALLER,
            **arguments.PROGRESS_FILE,
        ),
        apply,
    )


if __name__ == "__main__":
    main()
