#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_plan
short_description: Says what an upgrade of Zero to JupyterHub's chart would do, and what forbids it
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Compares the release with a chart, and returns the plan with all that speaks against it, at once.
  - Has Helm make the target's objects of the release's values, so that removed keys, values that the schema
    refuses and failing templates are found before. Writes nothing.
  - Shows the plan. With C(--diff) the objects and values that change are shown, without secrets.
  - Runs where C(kubectl) and C(helm) are, usually on the controller. Users' servers that run are asked for
    their version of JupyterHub, one of each image.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.database_evidence
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Shows the objects and values that an upgrade would change.
    support: full
options:
  chart_version:
    description: The version of the chart, not that of JupyterHub.
    type: str
    required: true
  chart:
    description: Its name in the repository, or a folder, a file or an C(oci://) reference.
    type: str
    default: jupyterhub
  chart_repository:
    description: URL of the chart's repository; not used for a folder, a file, C(oci://) and C(name/chart).
    type: str
    default: https://hub.jupyter.org/helm-chart/
  values_files:
    description:
      - Files on the host with all values of the upgrade, later ones over earlier ones.
      - The values that were supplied for the release, when empty.
    type: list
    elements: path
    default: []
  accept:
    description:
      - Ids of findings that shall not forbid the upgrade, where they may be accepted (docs/kubernetes.md).
      - One that no check knows is an error.
    type: list
    elements: str
    default: []
  running_servers:
    description: What becomes of users' servers that run. V(keep) lets them run; V(refuse) is a blocker while
      one runs; V(stop) has the hub stop them just before the upgrade.
    type: str
    choices: [keep, refuse, stop]
    default: keep
  fix_volumes:
    description: Whether the upgrade shall have the new hub told of claims that it would not use any more;
      they are no blocker then.
    type: bool
    default: false
  details:
    description: Whether to show why each note matters.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Plan the upgrade to 4.4.0
  hubops.jupyterhub.z2jh_plan:
    chart_version: 4.4.0
    values_files: [config.yaml]
  register: planned
"""

RETURN = r"""
plan:
  description: What would be done.
  returned: success
  type: dict
  contains:
    action:
      description: V(upgrade), or V(nothing) where the release has this chart and these values.
      type: str
      sample: upgrade
    release:
      description: As RV(hubops.jupyterhub.z2jh_info#module:release).
      type: dict
      sample: {"name": "jhub", "namespace": "jhub"}
    to_chart_version:
      description: The chart that is wanted.
      type: str
      sample: 4.4.0
    to_jupyterhub_version:
      description: The JupyterHub of that chart.
      type: str
      sample: 5.5.0
    findings:
      description: What speaks against the upgrade or should be known before it, blockers first.
      type: list
      elements: dict
      contains:
        id:
          description: The kind of finding; docs/kubernetes.md lists all.
          type: str
          sample: value-removed
        severity:
          description: V(blocker), V(warning) or V(note).
          type: str
          sample: blocker
        found:
          description: What was found in this release.
          type: str
          sample: "CHANGED: hub.fsGid must as of version 2.0.0 be configured via hub.podSecurityContext."
        why:
          description: Why it matters.
          type: str
          sample: Helm upgrades nothing.
        fix:
          description: How to fix it.
          type: str
          sample: Set what the message names instead.
        accept:
          description: Whether a blocker may be accepted by its id.
          type: bool
          sample: false
    objects:
      description: The cluster's objects that change, without secrets.
      type: list
      elements: dict
      contains:
        kind:
          description: Its kind.
          type: str
          sample: Deployment
        name:
          description: Its name.
          type: str
          sample: hub
        change:
          description: V(added), V(removed) or V(changed).
          type: str
          sample: changed
        before:
          description: Its text before.
          type: str
          sample: "{...}"
        after:
          description: Its text after.
          type: str
          sample: "{...}"
    values:
      description: The values that count afterwards and are others than before; the user's own are hidden.
      type: list
      elements: dict
      contains:
        key:
          description: The dotted key.
          type: str
          sample: hub.image.tag
        before:
          description: The value before.
          type: str
          sample: '"3.3.8"'
        after:
          description: The value after.
          type: str
          sample: '"4.4.0"'
    running_servers:
      description: What becomes of users' servers that run.
      type: str
      sample: keep
blockers:
  description: The findings that forbid the upgrade, as sentences.
  returned: success
  type: list
  elements: str
  sample: ["cluster-too-old: The cluster is v1.27.3, the chart 4.4.0 needs >=1.28.0-0."]
report:
  description: The plan as Markdown, for review.
  returned: success
  type: str
  sample: "# jhub in jhub: chart 3.3.8 -> 4.4.0"
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 3.1
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import sentence
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import findings, planner, report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, chart_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import Evidence


def planned(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The plan, and what forbids it."""
    wanted = planner.Wanted(
        chart_of(params["chart"], params["chart_repository"], params["chart_version"]),
        planner.texts(params["values_files"]),
        tuple(params["accept"]),
        params["running_servers"],
        params["fix_volumes"],
        from_dict(Evidence, params["database_evidence"] or {}),
    )
    plan = planner.plan(Access.from_params(params), params["release"], wanted)
    return {
        "changed": False,
        "plan": to_dict(plan),
        "blockers": [f"{finding.id}: {sentence(finding)}" for finding in plan.blockers],
        "report": report.markdown(plan),
    }


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.CLUSTER,
            chart_version=dict(type="str", required=True),
            chart=dict(type="str", default="jupyterhub"),
            chart_repository=dict(type="str", default=planner.REPOSITORY),
            values_files=dict(type="list", elements="path", default=[]),
            accept=dict(type="list", elements="str", default=[]),
            running_servers=dict(
                type="str", choices=[findings.KEEP, findings.REFUSE, findings.STOP], default=findings.KEEP
            ),
            fix_volumes=dict(type="bool", default=False),
            **arguments.DATABASE_EVIDENCE,
            details=dict(type="bool", default=False),
        ),
        planned,
    )


if __name__ == "__main__":
    main()
