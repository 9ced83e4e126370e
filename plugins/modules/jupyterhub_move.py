#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_move
short_description: Plans and rehearses the move of a JupyterHub's database to another one
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - V(planned) compares the hub with the new database, and returns the plan with all that speaks against it;
    it writes nothing. It shows the plan, and keeps it as the fact C(jupyterhub_upgrade_plan).
  - V(rehearsed) copies all rows of a copy of the hub's database to the new one, compares them, starts a hub
    on them, and empties the new database again. The hub that serves is neither changed nor asked.
  - The move itself is a step of the outage, see M(hubops.jupyterhub.jupyterhub_outage). The rows are copied
    by the hub's own Python, with their numbers, and encrypted values as they are.
  - The address of the new database is kept in the state folder while the run lasts, for its owner alone.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.progress_file
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description: Plans in check mode, too, and does not rehearse.
options:
  state:
    description: What to do.
    type: str
    choices: [planned, rehearsed]
    required: true
  database_url:
    description:
      - The new database, as C(c.JupyterHub.db_url) is going to name it; it is empty.
      - The action plugin hands it on within JSON, so that a URL without a password can be shown.
    type: str
    required: true
  write_config:
    description: Whether the line of the hub's config that names its database may be changed, in the outage.
    type: bool
    default: false
  plan:
    description: The plan that V(planned) has returned, to be completed by V(rehearsed).
    type: dict
    default: {}
  accept:
    description: Ids of findings that shall not forbid the move, where they may be accepted.
    type: list
    elements: str
    default: []
  verify_user:
    description: The user whose server is going to be started as a proof; that the hub has none is a finding.
    type: str
    default: ""
  start_timeout:
    description: Seconds until the hub must answer that V(rehearsed) starts.
    type: int
    default: 120
  move_timeout:
    description: Seconds that copying and comparing all rows may take.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Plan the move to PostgreSQL
  hubops.jupyterhub.jupyterhub_move:
    state: planned
    deployment: "{{ jupyterhub_deployment }}"
    database_url: "postgresql+psycopg2://hub:{{ password | urlencode }}@db.example.org/hub"
    write_config: true
  register: planned
"""

RETURN = r"""
plan:
  description:
    - What would be done, as M(hubops.jupyterhub.jupyterhub_plan) describes it.
    - After V(rehearsed), with the expected outage.
  returned: success
  type: dict
  sample: {"action": "move", "from_version": "4.1.6", "to_version": "4.1.6"}
blockers:
  description: The findings that forbid the move, as sentences.
  returned: state=planned
  type: list
  elements: str
  sample: ["move-not-empty: postgresql://hub:***@db.example.org/hub has 15 tables: alembic_version."]
timings:
  description: Seconds of each part of the rehearsal.
  returned: state=rehearsed, not in check mode
  type: dict
  sample: {"back up": 0.1, "copy": 2.1, "compare": 1.4, "start": 2.6, "stop": 0.3}
rows:
  description: Number of rows of each table that was copied.
  returned: state=rehearsed, not in check mode
  type: dict
  sample: {"users": 201, "api_tokens": 412}
expected_outage_seconds:
  description: What the outage of the move is going to take, from what was measured.
  returned: state=rehearsed, not in check mode
  type: float
  sample: 6.5
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 9.1
"""

import json
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import moving
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import sentence
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import moved_hub
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for."""
    params["database_url"] = json.loads(params["database_url"])["url"]
    if params["state"] == "planned":
        return planned(params)
    return {"changed": False} if check else rehearsed(params, Progress(params["progress_file"]))


def planned(params: dict[str, Any]) -> dict[str, Any]:
    """The plan, and what forbids it."""
    plan = moving.plan(
        from_dict(Deployment, params["deployment"]),
        params["database_url"],
        write_config=params["write_config"],
        policy=Policy(accept=params["accept"], verify_user=params["verify_user"]),
        base=params["state_folder"],
    )
    blockers = [f"{finding.id}: {sentence(finding)}" for finding in plan.blockers]
    return {"changed": False, "plan": to_dict(plan), "blockers": blockers}


def rehearsed(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """What the rehearsal has shown, as a phase of the run."""
    deployment, plan = from_dict(Deployment, params["deployment"]), from_dict(Plan, params["plan"])
    if plan.move is None:
        raise HubError("The plan is of no move.", "Plan one first, with state: planned.")
    move = plan.move
    folder = state_folder(deployment.name, params["state_folder"])

    def rehearse() -> dict[str, Any]:
        shown = moved_hub.rehearse(
            deployment,
            move,
            params["database_url"],
            folder,
            start_timeout=params["start_timeout"],
            move_timeout=params["move_timeout"],
            progress=progress,
        )
        if not params["run"]:
            moving.settle(folder, deployment, is_moved=False)
        return {"changed": False, **shown}

    return journal.prepare(folder, params["run"], "rehearse", rehearse)


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            state=dict(type="str", choices=["planned", "rehearsed"], required=True),
            database_url=dict(type="str", required=True, no_log=True),
            write_config=dict(type="bool", default=False),
            plan=dict(type="dict", default={}),
            accept=dict(type="list", elements="str", default=[]),
            verify_user=dict(type="str", default=""),
            start_timeout=dict(type="int", default=120),
            move_timeout=dict(type="int", default=3600),
            **arguments.PROGRESS_FILE,
        ),
        apply,
    )


if __name__ == "__main__":
    main()
