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
  - Where single-user servers are containers of the host's Docker engine, the image that they start from is
    pulled, as the first of them would pull it, and each image is asked for its JupyterHub by a program that
    runs in it alone.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.environment_failures
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes.reads
options:
  version:
    description:
      - The version that the hub should run.
      - V(patch) is the newest release of the hub's major, V(latest) the newest of all; each of those that the
        Python of every environment can run. The plan has the number.
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
      - V(auto) stages a new environment beside the old one where there is space.
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
  database_sessions:
    description:
      - Whether sessions of others in the hub's database are a blocker, V(refuse), or ended in the outage,
        V(end).
    type: str
    choices: [refuse, end]
    default: refuse
  verify_user:
    description:
      - The user whose server M(hubops.jupyterhub.jupyterhub_verify) is going to start; that the hub has none
        of this name is a finding.
    type: str
    default: ""
  running_servers:
    description:
      - What becomes of users' servers that run when the hub is stopped.
      - V(keep) has them run on, with their kernels; V(wait) stops them once nobody uses them; V(stop) stops
        them at once; V(refuse) makes a blocker of them.
      - V(auto) keeps them, and stops them where they could not work afterwards. The plan says which it is.
    type: str
    choices: [auto, keep, wait, stop, refuse]
    default: auto
  stale_containers:
    description:
      - What becomes of users' containers that would start again with an old image, V(keep) or V(remove).
      - Removed are those that do not run and have no files of their users, once the new hub is accepted.
    type: str
    choices: [keep, remove]
    default: keep
  window:
    description:
      - When the upgrade may begin, in the time of the host; at any time, when empty. Outside of it there is a
        blocker.
      - C(days), of V(mon) to V(sun), on which it opens, every day unless given; C(start), V(22:00); and
        C(hours) for which it is open, also past midnight.
    type: dict
    default: {}
  singleuser_hosts:
    description:
      - The hub's other hosts of single-user servers, each as C(found) of
        M(hubops.jupyterhub.jupyterhub_singleuser_info) describes it.
    type: list
    elements: dict
    default: []
  reviewed:
    description:
      - File on the controller with the plans that were reviewed, which
        M(hubops.jupyterhub.jupyterhub_plan_files) has written; any plan will do, when empty. It also says
        which versions V(patch) and V(latest) are.
      - This plan must not differ from it in versions, environments, intermediate versions, packages and
        findings. Packages are compared once they are known; numbers in the text of a finding are not, since
        sizes and times are others at each look.
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
  description: What would be done.
  returned: success
  type: dict
  contains:
    from_version:
      description: The version that the hub runs.
      type: str
      sample: 4.1.6
    to_version:
      description: The version that is wanted.
      type: str
      sample: 6.1.1
    action:
      description: V(upgrade), or V(nothing) where all have the wanted version; V(move) of a move.
      type: str
      sample: upgrade
    outage:
      description: Whether the hub is stopped; not where only single-user environments lag behind.
      type: bool
      sample: true
    environments:
      description: The environments that are changed.
      type: list
      elements: dict
      contains:
        path:
          description: Where the environment is used from.
          type: str
          sample: /opt/jupyterhub
        kind:
          description: V(venv) or V(conda); V(system) is a blocker.
          type: str
          sample: venv
        role:
          description: Whose it is, V(hub), V(user) or V(both).
          type: str
          sample: hub
        strategy:
          description:
            - V(copy) of the old one, V(rebuild) with another interpreter, or V(in_place), within the outage.
          type: str
          sample: copy
        python:
          description: The interpreter; empty where the environment's own is gone.
          type: str
          sample: /opt/jupyterhub/bin/python
        staged_path:
          description: Where the new environment is before the switch.
          type: str
          sample: /opt/jupyterhub.staged-6.1.1
        jupyterhub:
          description: The version that it has; V(null) where it has none.
          type: str
          sample: 4.1.6
        requirements:
          description: What has to be in it.
          type: list
          elements: str
          sample: ["jupyterhub==6.1.1"]
        imports:
          description: Modules of proxy, spawner and authenticator, which the new hub has to import.
          type: list
          elements: str
          sample: [jupyterhub.auth, jupyterhub.proxy, jupyterhub.spawner]
    migrate:
      description: Whether the database is migrated; V(null) where that is not known before staging.
      type: bool
      sample: true
    intermediate_versions:
      description: Releases that the migration goes through, each in an environment for that alone.
      type: list
      elements: dict
      contains:
        version:
          description: The release.
          type: str
          sample: 4.1.6
        path:
          description: The hub's environment.
          type: str
          sample: /opt/jupyterhub
        kind:
          description: Of which kind that is.
          type: str
          sample: venv
        staged_path:
          description: Where the release is staged.
          type: str
          sample: /opt/jupyterhub.intermediate-4.1.6
        strategy:
          description: Always V(intermediate).
          type: str
          sample: intermediate
        python:
          description: The interpreter.
          type: str
          sample: /opt/jupyterhub/bin/python
        requirements:
          description: What has to be in it.
          type: list
          elements: str
          sample: ["jupyterhub==4.1.6"]
        why:
          description: Why the migration fails in one step.
          type: str
          sample: from JupyterHub 5 on the migration of a database of 2.x asks for columns that it lacks
        source:
          description: Who says so.
          type: str
          sample: https://github.com/jupyterhub/jupyterhub/issues/5427
    state_folder:
      description: The hub's state folder on its host.
      type: str
      sample: /var/lib/hubops/jupyterhub
    recovery_point_folder:
      description: Where recovery points are made.
      type: str
      sample: /var/lib/hubops/jupyterhub/recovery
    bytes_needed:
      description: Bytes that the upgrade takes, by folder.
      type: dict
      sample: {"/opt": 600000000, "/var/lib/hubops/jupyterhub": 2000000}
    findings:
      description: What speaks against the upgrade or should be known before it, blockers first.
      type: list
      elements: dict
      contains:
        id:
          description: The kind of finding; docs/findings.md lists all.
          type: str
          sample: proxy-elsewhere
        severity:
          description: V(blocker), V(warning) or V(note).
          type: str
          sample: warning
        found:
          description: What was found on this host.
          type: str
          sample: "The hub jupyterhub.service answers. Its external proxy does not lead to it from http://127.0.0.1:8000/."
        why:
          description: Why it matters.
          type: str
          sample: It is not asked there after the upgrade either. That it has the route is asked of the hub.
        fix:
          description: How to fix it.
          type: str
          sample: Check after the upgrade that users reach the hub.
        accept:
          description: Whether a blocker may be accepted by its id.
          type: bool
          sample: false
    steps:
      description: The plan as sentences.
      type: list
      elements: str
      sample: ["Stage jupyterhub==6.1.1 in /opt/jupyterhub.staged-6.1.1."]
    packages:
      description: Packages that change, by the environment's path; V(null) before they are staged.
      type: dict
      sample: {"/opt/jupyterhub": [{"name": "jupyterhub", "from": "4.1.6", "to": "6.1.1"}]}
    expected_outage_seconds:
      description: How long the hub is going to be away; V(null) before the rehearsal.
      type: float
      sample: 4.6
    rehearsal_seconds:
      description: What each step of the rehearsal took; V(null) before that.
      type: dict
      sample: {"migrate": 0.4, "start": 2.1}
    basis:
      description: Digest of what the upgrade starts from; it is the same where nothing has changed.
      type: str
      sample: 3f1c9a0e5b7d2c4f
    left_out:
      description: Single-user environments that stay as they are, with O(environment_failures=report).
      type: list
      elements: dict
      contains:
        path:
          description: Where the environment is used from.
          type: str
          sample: /home/ada/venv
        why:
          description: Why it cannot be upgraded.
          type: str
          sample: JupyterHub 6.1.1 needs Python >=3.10, /home/ada/venv has 3.9.2.
    move:
      description: Where the database is moved to; V(null) but for M(hubops.jupyterhub.jupyterhub_move).
      type: dict
      sample: null
    running_servers:
      description:
        - What becomes of users' servers that run, V(keep), V(wait), V(stop) or V(refuse).
        - Empty where there is no outage, or the hub does not run.
      type: str
      sample: keep
    fresh_database:
      description: Why a fresh database takes the place of the old one, by the rehearsal; else empty.
      type: str
      sample: ""
    stale_containers:
      description: What becomes of users' containers that have an old image; empty where there are none.
      type: str
      sample: ""
    singleuser_hosts:
      description: Other hosts of single-user servers, and the environments that are changed there.
      type: list
      elements: dict
      contains:
        host:
          description: The name that it has in the inventory.
          type: str
          sample: node1.example.org
        environments:
          description: As those of the hub's own host.
          type: list
          elements: dict
          sample: []
blockers:
  description: The findings that forbid the upgrade, as sentences.
  returned: success
  type: list
  elements: str
  sample: ["downgrade: The hub runs JupyterHub 6.1.1, which is newer than 5.4.6. An upgrade never goes down."]
objections:
  description: What forbids to carry it out, the blockers, or else that it is not the one that was reviewed.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 1.1
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    installer_options,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import sentence
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.found_host import FoundHost
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.window import read_window
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder

#: The parameters that are an administrator's policy, by the same names.
POLICY = (
    *("strategy", "python", "packages", "user_packages", "accept", "verify_user"),
    *("environment_failures", "running_servers", "database_sessions", "stale_containers"),
)


def planned(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The plan, and what forbids it."""
    deployment = from_dict(Deployment, params["deployment"])
    policy = Policy(**{key: params[key] for key in POLICY}, window=read_window(params["window"]))
    base = params["state_folder"]
    failed = journal.failed_upgrade(state_folder(deployment.name, base))
    others = [from_dict(FoundHost, each) for each in params["singleuser_hosts"]]
    options = installer_options(params)
    plan = planner.plan(deployment, params["version"], policy, options, base, failed, others)
    blockers = [f"{finding.id}: {sentence(finding)}" for finding in plan.blockers]
    return {"changed": False, "plan": to_dict(plan), "blockers": blockers}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            version=dict(type="str", required=True),
            python=dict(type="str", default=""),
            packages=dict(type="list", elements="str", default=[]),
            user_packages=dict(type="list", elements="str", default=[]),
            strategy=dict(type="str", choices=["auto", "in_place"], default="auto"),
            accept=dict(type="list", elements="str", default=[]),
            verify_user=dict(type="str", default=""),
            **arguments.ENVIRONMENT_FAILURES,
            running_servers=dict(
                type="str", choices=["auto", "keep", "wait", "stop", "refuse"], default="auto"
            ),
            window=dict(type="dict", default={}),
            stale_containers=dict(type="str", choices=["keep", "remove"], default="keep"),
            **arguments.DATABASE_SESSIONS,
            singleuser_hosts=dict(type="list", elements="dict", default=[]),
            reviewed=dict(type="str", default=""),
            details=dict(type="bool", default=False),
            **arguments.INSTALLER,
        ),
        planned,
    )


if __name__ == "__main__":
    main()
