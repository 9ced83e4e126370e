#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_status
short_description: Tells how the last run of each hub of a host ended or stands, and what is kept of it
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Reads the state folders of the host, whatever has become of the hubs themselves. Nothing is changed, no
    hub is asked, and no lock is taken, so that a run which is under way is not disturbed.
options:
  show:
    description: Whether to show it for people.
    type: bool
    default: true
extends_documentation_fragment:
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.service
  - hubops.jupyterhub.attributes.reads
"""

EXAMPLES = r"""
- name: See how the last upgrade ended
  hubops.jupyterhub.jupyterhub_status:
"""

RETURN = r"""
hubs:
  description: The hubs of which a run or a recovery point is kept.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The deployment.
      type: str
      sample: jupyterhub
    run:
      description: How the last run ended or stands, or why its record cannot be read; empty without one.
      type: str
      sample: "Run 20261120T211500Z, begun 2026-11-20T21:15:00+00:00, is at 'migrate'."
    report:
      description: Its report so far, as lines.
      type: list
      elements: str
      sample: ["jupyterhub: JupyterHub 4.1.6 -> 6.1.1, upgraded, outage 3.2 s, 0 warnings"]
    last:
      description: The same as data; none where no run is known, or its record cannot be read.
      type: dict
      contains:
        outcome:
          description: As in RV(hubops.jupyterhub.jupyterhub_report#module:report).
          type: str
          sample: upgraded
        from_version:
          description: The version before the run.
          type: str
          sample: 4.1.6
        to_version:
          description: The version that was wanted.
          type: str
          sample: 6.1.1
        ended:
          description: When the run has ended, in UTC; none while it is under way.
          type: str
          sample: "2026-11-20T21:16:45+00:00"
        downtime_seconds:
          description: How long the hub was away, in seconds; none where that is not known.
          type: float
          sample: 3.2
        expected_outage_seconds:
          description: What the rehearsal has shown, in seconds.
          type: float
          sample: 4.1
        warnings:
          description: What the run has warned of.
          type: list
          elements: str
          sample: []
        findings:
          description: As in RV(hubops.jupyterhub.jupyterhub_plan#module:plan.findings).
          type: list
          elements: dict
          sample: []
        failure:
          description: Why it failed; empty where it did not.
          type: str
          sample: ""
        other_hosts:
          description: How it ended on other hosts of single-user servers.
          type: list
          elements: dict
          sample: [{"host": "node1", "ended": "upgraded", "why": ""}]
    held:
      description: Why the hub is held down; empty where it is not.
      type: str
      sample: ""
    guarded:
      description: Whether a guard watches the run.
      type: bool
      sample: true
    outage:
      description: Whether the host carries out an outage now.
      type: bool
      sample: true
    recovery_points:
      description: As in RV(hubops.jupyterhub.recovery_point_info#module:points).
      type: list
      elements: dict
      sample: []
messages:
  description: The same for people, by the names of the hubs.
  returned: always
  type: dict
  sample: {"jupyterhub": ["No run is known.", "1 recovery point, the newest /var/lib/hubops/..."]}
clock:
  description: The host's time, with its offset from UTC.
  returned: always
  type: str
  sample: "2026-11-20T22:16:45+01:00"
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.02
"""

from datetime import datetime
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import status
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict


def look(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """Read the state folders."""
    hubs = status.of_host(params["state_folder"], params["service"])
    return {
        "hubs": [to_dict(hub) for hub in hubs],
        "clock": datetime.now().astimezone().isoformat(timespec="seconds"),
        "messages": {hub.name: status.lines(hub) for hub in hubs},
    }


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(**arguments.STATE_FOLDER, **arguments.SERVICE, show={"type": "bool", "default": True}), look
    )


if __name__ == "__main__":
    main()
