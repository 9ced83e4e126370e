#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_run
short_description: Begins and ends a run, one at a time for each JupyterHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A run is one upgrade, or one rollback. It is a lock against a second one, and a record on the hub's host
    of what has been done.
  - Nothing is held open for it. A run of which nothing was heard for longer than its O(confirm_timeout)
    counts as dead, and so does one whose controller's process is known to have ended.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.service
  - hubops.jupyterhub.attributes
options:
  deployment:
    required: false
  state:
    description:
      - V(resumed) brings an earlier run that was cut off to its end, and tells how earlier ones ended.
      - V(begun) begins a run, unless there is nothing to do.
      - V(replanned) has it follow another O(plan), before its outage.
      - V(ended) ends a run that has failed. Where it has touched the hub, the old hub is restored. Where that
        fails as well, the task does not; the fact C(jupyterhub_failure) says why.
    type: str
    choices: [resumed, begun, replanned, ended]
    required: true
  resume:
    description:
      - What to do with a run that was cut off in its outage.
      - V(restore) restores the old hub. V(complete) continues where it was cut off, with its own plan.
    type: str
    choices: [restore, complete]
    default: restore
  take_over:
    description: A run that is known to be dead, though something was heard of it lately.
    type: str
    default: ""
  plan:
    description: What the run is going to do.
    type: dict
    default: {}
  run:
    description: The run to end, to plan again, or to go on with. V(begun) begins none where there is one.
  phases:
    description: What was done before the run began, a dict with C(name), C(seconds) and C(result) each.
    type: list
    elements: dict
    default: []
  task:
    description: The task that failed, where a run ends.
    type: str
    default: ""
  reason:
    description: Why it ends.
    type: str
    default: ""
  confirm_timeout:
    description:
      - Seconds without a heartbeat after which the run counts as dead, and the guard ends it.
    type: int
    default: 600
  unconfirmed:
    description:
      - What the guard does with a new hub that the host has verified, and that was not accepted within
        O(confirm_timeout).
      - V(keep) accepts it, unless it does not answer any more. V(restore) restores the old hub, also where
        only the connection to the host was lost.
    type: str
    choices: [keep, restore]
    default: keep
  holder:
    description: Who begins the run, from where; set by the action plugin.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: See what earlier runs have left
  hubops.jupyterhub.jupyterhub_run:
    state: resumed

- name: Begin
  hubops.jupyterhub.jupyterhub_run:
    state: begun
    deployment: "{{ jupyterhub_deployment }}"
    plan: "{{ jupyterhub_upgrade_plan }}"
"""

RETURN = r"""
run:
  description: The run that was begun, or that is to be completed; its id is empty where there is none.
  returned: success
  type: dict
  sample: {"id": "20261121T101500.123456Z", "continues": ""}
messages:
  description: How earlier runs ended.
  returned: state=resumed
  type: list
  elements: str
  sample: []
deployment:
  description: The deployment of a run that is to be completed.
  returned: when one is
  type: dict
plan:
  description: The plan of a run that is to be completed.
  returned: when one is
  type: dict
recovery_point:
  description: The recovery point of a run that is to be completed.
  returned: when one is
  type: str
  sample: /var/lib/hubops/jupyterhub/recovery/20261120T211500Z-4.1.6-6.1.1
outcome:
  description: How the run ended.
  returned: state=ended
  type: dict
  sample: {"ended": "old", "by": "the rescue", "at": "2026-11-21T10:17:00+00:00", "version": "4.1.6"}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 4.1
other:
  description: The run that is in the way.
  returned: when there is one
  type: dict
  sample: {"id": "20261121T101500.123456Z", "process": "0e5c/4711/123456", "controller": "laptop"}
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import (
    NOTHING,
    Plan,
    read_plan,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import resumption, rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder

NOBODY = {"user": "somebody", "controller": "somewhere", "process": "", "command": "ansible"}


def resume(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """See what earlier runs have left, and bring it to an end."""
    found = resumption.resume(
        params["state_folder"],
        params["service"],
        params["resume"],
        params["take_over"],
        {**NOBODY, **params["holder"]},
        check,
    )
    result: dict[str, Any] = {
        "changed": found.changed,
        "messages": found.messages,
        "run": described(found.run),
    }
    if found.run:
        result.update(
            deployment=to_dict(found.run.deployment),
            plan=to_dict(found.run.plan) if found.run.plan else {},
            recovery_point=found.run.recovery_point,
        )
    return result


def described(run: journal.Run | None) -> dict[str, str]:
    """What the tasks that follow need to know of a run."""
    return {"id": run.id, "continues": run.continues} if run else {"id": "", "continues": ""}


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for."""
    if params["state"] == "resumed":
        return resume(params, check)
    folder = state_folder(params["deployment"]["name"], params["state_folder"])
    if params["state"] == "begun":
        return begin(folder, params, check)
    if params["state"] == "replanned":
        run = journal.mine(folder, params["run"])
        plan = from_dict(Plan, params["plan"])
        return {
            "changed": run.plan != plan,
            "run": described(run if check else journal.replan(folder, run.id, plan)),
        }
    if check:
        return {"changed": False, "outcome": {}}
    before = journal.recorded(folder, params["run"])
    if before is None or not before.is_of(params["holder"]):
        return {"changed": False, "outcome": {}}
    if before.phase == journal.STUCK:
        # The host has tried as often as it may; another attempt is an administrator's decision.
        raise HubError(before.outcome["reason"])
    ended = rollback.roll_back(folder, "the rescue", params["reason"], params["run"], params["task"])
    if before.is_over:
        # The host has ended it, and the report that follows says so.
        journal.mark_reported(folder, before)
    return {"changed": not before.is_over, "outcome": ended}


def begin(folder: Path, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Begin a run, unless an earlier one continues, or there is nothing to do."""
    if params["run"]:
        continued = journal.mine(folder, params["run"])
        journal.beat(folder, continued)
        return {"changed": False, "run": described(continued)}
    plan = read_plan(params["plan"])
    if plan and plan.action == NOTHING:
        return {"changed": False, "run": described(None)}
    if check:
        journal.require_none(folder)
        return {"changed": True, "run": described(None)}
    begun = journal.begin(
        folder,
        {**NOBODY, **params["holder"]},
        params["confirm_timeout"],
        deployment=from_dict(Deployment, params["deployment"]),
        plan=plan,
        phases=[journal.phase_of(phase["name"], phase) for phase in params["phases"]],
        unconfirmed=params["unconfirmed"],
    )
    return {"changed": True, "run": described(begun)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            deployment=dict(type="dict"),
            **arguments.STATE_FOLDER,
            state=dict(type="str", choices=["resumed", "begun", "replanned", "ended"], required=True),
            **arguments.SERVICE,
            resume=dict(type="str", choices=["restore", "complete"], default="restore"),
            take_over=dict(type="str", default=""),
            plan=dict(type="dict", default={}),
            **arguments.RUN,
            phases=dict(type="list", elements="dict", default=[]),
            task=dict(type="str", default=""),
            reason=dict(type="str", default=""),
            confirm_timeout=dict(type="int", default=600),
            unconfirmed=dict(type="str", choices=[journal.KEEP, journal.RESTORE], default=journal.KEEP),
            holder=dict(type="dict", default={}),
        ),
        apply,
        required_if=[
            ("state", "begun", ["deployment"]),
            ("state", "replanned", ["deployment", "run"]),
            ("state", "ended", ["deployment", "run"]),
        ],
    )


if __name__ == "__main__":
    main()
