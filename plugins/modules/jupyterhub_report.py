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
  - Composes the report of a run from the run's own record on the hub's host, and keeps it beside that.
  - Where no run has begun, it is composed of what is known, and kept nowhere on the host.
  - It is JSON, an HTML page that needs no other file, and Markdown for a ticket.
  - Shows it, keeps it as the fact C(jupyterhub_report), and hands it on as C(set_stats) does.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.run
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes
options:
  deployment:
    required: false
  run:
    description: The run to report on, as RV(hubops.jupyterhub.jupyterhub_run#module:run) names it, if any.
  plan:
    description: The plan, as far as it was made.
    type: dict
    default: {}
  phases:
    description: What was done where no run has begun, a dict with C(name), C(seconds) and C(result) each.
    type: list
    elements: dict
    default: []
  failure:
    description: The C(task) that failed, the C(reason), and why the C(restore) failed as well, if any.
    type: dict
    default: {}
  fetch:
    description:
      - File on the controller to write the report into. Page and ticket go beside it, with the suffixes
        C(.html) and C(.md).
    type: str
    default: ""
  fleet:
    description:
      - File on the controller with the report of a fleet, which the hub's row is written into. It is the
        O(hubops.jupyterhub.jupyterhub_fleet#module:file) of M(hubops.jupyterhub.jupyterhub_fleet).
    type: str
    default: ""
  other_hosts:
    description: How it ended on other hosts of single-user servers, C(host), C(ended) and C(why) of each.
    type: list
    elements: dict
    default: []
  holder:
    description: Who reports, set by the action plugin. A run of another controller is not reported on.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Report
  hubops.jupyterhub.jupyterhub_report:
    deployment: "{{ ansible_facts.jupyterhub_deployment }}"
    run: "{{ ansible_facts.jupyterhub_run.id }}"
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
    run: 20261120T211502.123456Z
    downtime_seconds: 4.2
    expected_outage_seconds: 4.6
    phases: [{"name": "stop", "seconds": 0.41, "result": "changed", "began": "2026-11-20T21:16:02.120+00:00"}]
    backup: /var/lib/hubops/jupyterhub/recovery/20261120T211500Z-4.1.6-6.1.1
    first_backup: /var/lib/hubops/jupyterhub/recovery/20261120T211613Z-6.1.1
    warnings: []
    audit: null
    failure: null
    conclusion: JupyterHub 4.1.6 has become 6.1.1.
    hub: jupyterhub
    host: hub1
    started: "2026-11-20T21:15:02+00:00"
    ended: "2026-11-20T21:16:37+00:00"
    user: ada
    controller: laptop
    command: ansible-playbook hubops.jupyterhub.upgrade -i inventory.yml
    stopped_at: "2026-11-20T21:16:02.121+00:00"
    findings: []
    checks: {"login": "passed", "server": "passed", "kernel": "passed: 1 + 1 is 2, single-user 6.1.1"}
    log: {"errors": [], "access": [], "unrecognized": [], "deprecated": []}
    environments: []
    database: null
    advisories: null
    other_hosts: [{"host": "node1", "ended": "upgraded", "why": ""}]
    way_back: >-
      ansible-playbook hubops.jupyterhub.rollback -i inventory.yml
      -e jupyterhub_recovery_point=20261120T211500Z-4.1.6-6.1.1 -e jupyterhub_accept_loss=true
path:
  description: Where the report is on the hub's host; beside it are C(report.html) and C(report.md).
  returned: when it was written
  type: str
  sample: /var/lib/hubops/jupyterhub/runs/20261120T211502Z/report.json
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.02
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import read_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import (
    journal,
    other_hosts,
    report,
    report_files,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.other_hosts import OtherHost
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def reported(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """The report, and where it was written."""
    found, failure = params["deployment"], params["failure"]
    deployment = from_dict(Deployment, found) if found else None
    folder = state_folder(deployment.name, params["state_folder"]) if deployment else None
    run = journal.recorded(folder, params["run"]) if folder and params["run"] else None
    if folder is None or run is None or not run.is_of(params["holder"]):
        phases = [journal.phase_of(phase["name"], phase) for phase in params["phases"]]
        return {
            "changed": False,
            "report": report.compose(
                report.Story(deployment, read_plan(params["plan"]), phases, failure, check)
            ),
        }
    hosts = [from_dict(OtherHost, each) for each in params["other_hosts"]]
    if hosts:
        run.record(phase_of(hosts))
    composed = report.compose(report.of_run(run, failure))
    try:
        # The record of one that is not over is the guard's to write.
        if hosts and run.is_over:
            keep(folder, run.id, hosts)
        return {"changed": True, "report": composed, "path": str(report_files.write(folder, composed))}
    except (HubError, OSError) as error:
        # On a disk that has become full the report is all the more wanted.
        warning = f"The report was not kept on the host: {error}"
        return {"changed": False, "report": composed, "warnings": [warning]}


def phase_of(hosts: list[OtherHost]) -> journal.Phase:
    """What has become of other hosts, as the run's record has it."""
    measured = {"hosts": [to_dict(each) for each in hosts]}
    return journal.Phase(other_hosts.PHASE, 0.0, journal.OK, measured, other_hosts.warnings(hosts))


def keep(folder: Path, run_id: str, hosts: list[OtherHost]) -> None:
    """Add it to the record, where that is still there."""
    with journal.lock(folder):
        run = journal.recorded(folder, run_id)
        if run:
            run.record(phase_of(hosts))
            journal.write(folder, run)


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            deployment=dict(type="dict"),
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            plan=dict(type="dict", default={}),
            phases=dict(type="list", elements="dict", default=[]),
            failure=dict(type="dict", default={}),
            fetch=dict(type="str", default=""),
            fleet=dict(type="str", default=""),
            other_hosts=dict(type="list", elements="dict", default=[]),
            holder=dict(type="dict", default={}),
        ),
        reported,
    )


if __name__ == "__main__":
    main()
