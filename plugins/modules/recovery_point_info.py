#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_point_info
short_description: Lists recovery points of a JupyterHub, and compares one with what the hub is now
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Finds recovery points by their folders alone, so that a hub which is too broken to be found still has its
    way back. Nothing is changed.
extends_documentation_fragment:
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.service
  - hubops.jupyterhub.attributes.reads
options:
  recovery_point:
    description:
      - The id of the recovery point to choose.
      - The newest that leads to another state than the present one, unless given. So the last upgrade is
        taken back, or the last rollback, whatever backups were made since.
    type: str
    default: ""
  compare:
    description:
      - Whether to choose a recovery point and to compare it with the host. It is kept as the fact
        C(jupyterhub_rollback), and what going back would do as C(jupyterhub_upgrade_plan).
      - Fails where rows would be lost that somebody might miss, unless O(accept_loss).
    type: bool
    default: false
  accept_loss:
    description: Whether rows may be lost.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: List recovery points
  hubops.jupyterhub.recovery_point_info:
  register: kept

- name: See what a rollback would do
  hubops.jupyterhub.recovery_point_info:
    compare: true
"""

RETURN = r"""
points:
  description: The recovery points, newest first. What a manifest says is V(null) where that cannot be read.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Its name, which sorts by age.
      type: str
      sample: 20261120T211500Z-4.1.6-6.1.1
    path:
      description: Its folder.
      type: str
      sample: /var/lib/hubops/jupyterhub/recovery/20261120T211500Z-4.1.6-6.1.1
    deployment:
      description: The hub that it is of.
      type: str
      sample: jupyterhub
    purpose:
      description: What it was made for, V(upgrade), V(move), V(rollback) or V(backup).
      type: str
      sample: upgrade
    created:
      description: When it was made.
      type: str
      sample: "2026-11-20T21:15:00+00:00"
    from_version:
      description: The version that it leads back to.
      type: str
      sample: 4.1.6
    to_version:
      description: The version of the upgrade that followed, or empty.
      type: str
      sample: 6.1.1
    run:
      description: The run that has made it, by whom and from where; empty where it was made without one.
      type: dict
      sample: {"id": "20261120T211458.123456Z", "user": "ada", "controller": "laptop"}
    sealed:
      description: Whether its database was copied after the hub had stopped, so that no row is missing.
      type: bool
      sample: true
    bytes:
      description: What it takes on the disk.
      type: int
      sample: 303104
    problem:
      description: Why it cannot be restored, or empty.
      type: str
      sample: ""
chosen:
  description: The recovery point that was chosen, and the deployment that it was made of.
  returned: compare=true
  type: dict
comparison:
  description: What differs on the host, and what was written since.
  returned: compare=true
  type: dict
  contains:
    environments:
      description: Environments that differ, what is there C(now), and what was there C(then).
      type: list
      elements: dict
      sample: [{"path": "/opt/jupyterhub", "now": "JupyterHub 6.1.1, Python 3.11.2",
                "then": "JupyterHub 4.1.6, Python 3.11.2"}]
    database:
      description: The same of the database; V(null) where it does not differ.
      type: dict
      sample: {"path": "/srv/jupyterhub/jupyterhub.sqlite", "now": "revision f460b0348206, 612 rows",
               "then": "revision 0eee8c825d24, 604 rows"}
    files:
      description: The same of config, secrets and unit.
      type: list
      elements: dict
      sample: []
    since:
      description: What was written to the database since.
      type: dict
      sample: {"tables": {"users": {"now": 202, "then": 201, "new": 1, "changed": 0}}, "users": ["ada"],
               "tokens": 0, "newest": {"users": "2026-11-21 10:15:00.000000"}}
    equal:
      description: Whether there is nothing to restore.
      type: bool
      sample: false
    lost:
      description: Whether a row would be lost that somebody might miss, or that cannot be told.
      type: bool
      sample: true
    problem:
      description: Why the databases cannot be compared, or empty.
      type: str
      sample: ""
messages:
  description: The same for people.
  returned: compare=true
  type: list
  elements: str
  sample:
    - "The hub would be again as it was at 2026-11-20T21:15:00+00:00, before its upgrade: JupyterHub 4.1.6."
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.8
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    catalogue,
    loss_report,
    manifest,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict


def look(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """List, and choose and compare where asked for."""
    points = catalogue.listed(params["state_folder"], params["service"])
    if not params["compare"]:
        return {"points": [to_dict(point) for point in points]}
    chosen = catalogue.choose(points, params["recovery_point"])
    path = Path(chosen.path)
    compared = catalogue.compare(path)
    return {
        "points": [to_dict(point) for point in points],
        "chosen": {**to_dict(chosen), "deployment": to_dict(manifest.read(path).deployment)},
        "comparison": to_dict(compared),
        "messages": loss_report.describe(chosen, compared),
    }


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.STATE_FOLDER,
            **arguments.SERVICE,
            recovery_point=dict(type="str", default=""),
            compare=dict(type="bool", default=False),
            accept_loss=dict(type="bool", default=False),
        ),
        look,
    )


if __name__ == "__main__":
    main()
