#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_rehearse
short_description: Rehearses an upgrade of a JupyterHub on a copy, while the hub serves
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Copies the hub's database, migrates the copy with the staged environment, and compares row counts and the
    columns that tell people and their rights before and after.
  - Loads the hub's own config with the staged environment, as the service's user in the service's directory
    with its environment variables.
  - Starts the new hub on the copy, on loopback ports of its own, and asks it for its version and its users,
    logs in with a token, starts and stops a server, and reads an encrypted auth state.
  - What would fail is returned as a finding. Where the migration fails in one step, the releases in between
    are staged, and it is rehearsed again through them; where that fails as well, with a fresh database, if
    O(fresh_database) allows one.
  - Completes the plan by what staging and rehearsal have shown, keeps it as the fact
    C(jupyterhub_upgrade_plan), and fails at blockers and at what is not as it was reviewed.
  - Nothing of the hub that serves is changed or asked, and nothing is left behind, except the process that
    has migrated the copy, where O(run) is given; it waits for M(hubops.jupyterhub.jupyterhub_database).
  - While it works, a line of progress is shown from time to time.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.progress_file
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description: Can run in check mode and say what it finds.
    support: partial
    details: Does nothing in check mode where the environments are not staged.
options:
  plan:
    description: The plan that M(hubops.jupyterhub.jupyterhub_plan) returned; its environments are staged.
    type: dict
    required: true
  rehearse:
    description: Whether to rehearse, or only to complete the plan.
    type: bool
    default: true
  staged:
    description: The staged environments as M(hubops.jupyterhub.jupyterhub_environment) returned them.
    type: list
    elements: dict
    default: []
  reviewed:
    description:
      - File on the controller with the plans that were reviewed, from which this one must not differ; any,
        when empty.
    type: str
    default: ""
  fingerprints:
    description:
      - Fingerprints of the plans that were reviewed, by host, as an earlier job has handed them on
        (C(jupyterhub_plan_fingerprint)); any plan, when empty. Measured times and what is known of
        vulnerabilities are no part of it.
    type: dict
    default: {}
  details:
    description: Whether to show the packages that change, one by one, and the steps.
    type: bool
    default: false
  audit:
    description:
      - Whether the controller looks all staged packages up in a database of vulnerabilities.
      - V(auto) does where the database can be reached, and says so where it cannot.
    type: str
    choices: [auto, never]
    default: auto
  audit_url:
    description: A service that answers as PyPI's JSON API does; that itself, unless given.
    type: str
    default: ""
  audited:
    description: What the controller has found, as RV(findings); used by the action plugin.
    type: list
    elements: dict
    default: []
  accept:
    description: Ids of findings that shall not forbid the upgrade, where they may be accepted.
    type: list
    elements: str
    default: []
  fresh_database:
    description:
      - Whether a fresh database may take the place of one that cannot be migrated, not even through
        intermediate versions. It has the users, groups, roles and what spawners remember; what is lost is the
        finding C(fresh-database), which has to be accepted.
    type: str
    choices: [never, when_migration_fails]
    default: never
  start_timeout:
    description: Seconds until the new hub must answer, and until a server must.
    type: int
    default: 120
  migration_timeout:
    description: Seconds that the migration of the copy may take.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Rehearse the upgrade with the staged environments
  hubops.jupyterhub.jupyterhub_rehearse:
    deployment: "{{ jupyterhub_deployment }}"
    plan: "{{ jupyterhub_upgrade_plan }}"
    staged: "{{ staged.environments }}"
"""

RETURN = r"""
plan:
  description: The plan, completed by what staging and rehearsal have shown.
  returned: success
  type: dict
  sample: {"from_version": "4.1.6", "to_version": "6.1.1", "expected_outage_seconds": 4.6}
findings:
  description: What somebody should know before the upgrade, blockers first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: What kind of finding it is.
      type: str
      sample: rehearsal-spawn
    severity:
      description: V(blocker), V(warning) or V(note).
      type: str
      sample: blocker
    found:
      description: What was found, with the end of the new hub's log where that tells more.
      type: str
      sample: The server ended before it answered.
    why:
      description: Why it matters.
      type: str
      sample: Users could log in, but not work.
    fix:
      description: What to do about it.
      type: str
      sample: See to the packages of /opt/user-env.staged-6.1.1; jupyterhub_user_packages installs more.
    accept:
      description: Whether it can be accepted by its id.
      type: bool
      sample: false
blockers:
  description: The findings that forbid the upgrade, a text for each.
  returned: success
  type: list
  elements: str
  sample: []
expected_outage_seconds:
  description:
    - What the outage of the upgrade is going to take, from what was measured on this host.
    - V(null) where the new hub did not answer.
  returned: success
  type: float
  sample: 4.6
fallback_path:
  description:
    - What changes of the plan where its migration fails, and may succeed through the majors in between, or a
      fresh database may take the place of the old one; empty otherwise. These releases are to be staged, and
      the upgrade to be rehearsed again with the plan changed.
  returned: success
  type: dict
  sample: {}
  contains:
    intermediate_versions:
      description: The releases, as the plan has them.
      type: list
      elements: dict
    steps:
      description: The plan as sentences.
      type: list
      elements: str
    fresh_database:
      description: Why a fresh database takes the place of the old one, or nothing.
      type: str
    running_servers:
      description: What becomes of users' servers that run, as the plan has it; a fresh database knows none.
      type: str
timings:
  description: Seconds of each part.
  returned: success
  type: dict
  sample: {copy: 0.02, migrate: 0.05, config: 1.2, start: 2.6, stop: 0.2, old hub: 2.4}
rows:
  description: Number of rows of each table before and after the migration of the copy.
  returned: success
  type: dict
  sample: {users: {before: 201, after: 201}}
compared:
  description: Columns of each table whose every value was compared before and after the migration.
  returned: success
  type: dict
  sample: {groups: [id, name]}
version:
  description: Version that the new hub named; V(null) where it did not answer.
  returned: success
  type: str
  sample: 6.1.1
sys_executable:
  description: Interpreter that the new hub named.
  returned: success
  type: str
  sample: /opt/jupyterhub.staged-6.1.1/bin/python
single_user_version:
  description: Version that the new single-user server named; V(null) where none was started.
  returned: success
  type: str
  sample: 6.1.1
deprecated:
  description: Lines of the new hub's log about what will not work any more.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 9.1
"""

import contextlib
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import fallback_path
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import (
    FRESH_DATABASE,
    NEVER,
    Plan,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.running_servers import STOPPING
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import rehearse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Rehearse, unless check mode has left out the staging."""
    plan = from_dict(Plan, params["plan"])
    if check and not all(Path(entry.staged_path).is_dir() for entry in plan.staged):
        return {"changed": False, "skipped": True}
    return rehearsed(params, plan, Progress(params["progress_file"]))


def rehearsed(params: dict[str, Any], plan: Plan, progress: Progress) -> dict[str, Any]:
    """What the rehearsal has shown; within a run the prepared migration waits for its word afterwards."""
    folder = state_folder(params["deployment"]["name"], params["state_folder"])
    return journal.prepare(
        folder, params["run"], "rehearse", lambda: rehearsal(params, plan, folder, progress)
    )


def rehearsal(params: dict[str, Any], plan: Plan, folder: Path, progress: Progress) -> dict[str, Any]:
    """Rehearse, and say what is to change of the plan where its migration fails."""
    deployment = from_dict(Deployment, params["deployment"])
    with contextlib.ExitStack() as stack:
        if not params["run"]:
            stack.enter_context(migration.passing(folder))
        found = rehearse(
            deployment,
            plan.environments,
            plan.to_version,
            folder,
            intermediate=[intermediate.staged_path for intermediate in plan.intermediate_versions],
            fresh_database=plan.fresh_database,
            stops_servers=plan.running_servers in STOPPING,
            start_timeout=params["start_timeout"],
            migration_timeout=params["migration_timeout"],
            progress=progress,
        )
    # What reading has found already is in the plan.
    known = {finding.id for finding in plan.findings}
    shown = found.result(params["accept"], known)
    why = found.migration_fails
    path = fallback_path(plan, deployment, why, params["fresh_database"]) if why else None
    return {
        "changed": False,
        **shown,
        "findings": [*shown["findings"], *params["audited"]],
        "fallback_path": to_dict(path) if path else {},
    }


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            plan=dict(type="dict", required=True),
            rehearse=dict(type="bool", default=True),
            staged=dict(type="list", elements="dict", default=[]),
            reviewed=dict(type="str", default=""),
            fingerprints=dict(type="dict", default={}),
            details=dict(type="bool", default=False),
            audit=dict(type="str", choices=["auto", "never"], default="auto"),
            audit_url=dict(type="str", default=""),
            audited=dict(type="list", elements="dict", default=[]),
            accept=dict(type="list", elements="str", default=[]),
            fresh_database=dict(type="str", choices=list(FRESH_DATABASE), default=NEVER),
            start_timeout=dict(type="int", default=120),
            migration_timeout=dict(type="int", default=3600),
            **arguments.INSTALLER,
            **arguments.PROGRESS_FILE,
        ),
        apply,
    )


if __name__ == "__main__":
    main()
