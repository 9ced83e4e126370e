#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_fleet
short_description: Decides which hubs of a fleet are upgraded now
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Puts hubs into batches, and says which of them are to be upgraded now, by what the hosts' own records say
    of their last runs. So an upgrade of a fleet continues where it stopped, on whatever controller.
  - Runs on the controller. Keeps the decision as the fact C(jupyterhub_fleet).
  - Fails when more hubs have failed than O(max_fail_percentage) allows.
options:
  versions:
    description: The version that each host's hub should run, by host, in the order of the upgrade.
    type: dict
    required: true
  looked:
    description:
      - RV(hubops.jupyterhub.jupyterhub_status#module:hubs), by host; V(false) for one that was not reached.
    type: dict
    required: true
  plans:
    description: The plans that were reviewed, by host, which say what V(patch) and V(latest) are.
    type: dict
    default: {}
  windows:
    description: When hubs' upgrades may begin, by host, C(days), C(start), C(hours); any time, when empty.
    type: dict
    default: {}
  clocks:
    description: RV(hubops.jupyterhub.jupyterhub_status#module:clock), by host.
    type: dict
    default: {}
  canaries:
    description: Hosts of the first batch. The first host, when empty.
    type: list
    elements: str
    default: []
  serial:
    description: Sizes of the batches that follow, numbers of hosts or parts of all; the last one is repeated.
    type: list
    elements: str
    default: ["25%"]
  soak:
    description:
      - How long all hubs before must have run the new version before the next batch begins, as V(2d), V(6h),
        V(30m), or in seconds. With it a run has one batch.
    type: str
    default: "0"
  max_fail_percentage:
    description: How many of all hubs, in percent, may have failed while others are begun.
    type: float
    default: 0
  retry:
    description: Whether hubs that have failed are begun again.
    type: bool
    default: false
  pause_file:
    description: No hub is begun while this file exists on the controller.
    type: str
    default: ""
  file:
    description:
      - File on the controller for the fleet's report as JSON. Page and ticket go beside it, with the suffixes
        C(.html) and C(.md).
    type: str
    default: ""
extends_documentation_fragment:
  - hubops.jupyterhub.attributes.reads
"""

EXAMPLES = r"""
- name: Decide which hubs are next
  hubops.jupyterhub.jupyterhub_fleet:
    versions: {hub1: "6.1.1", hub2: "6.1.1"}
    looked: {hub1: [], hub2: []}
    soak: 2d
"""

RETURN = r"""
hosts:
  description: Hosts whose hubs are upgraded now, in their order.
  returned: always
  type: list
  elements: str
  sample: [hub1]
serial:
  description: The sizes of the batches that these are.
  returned: always
  type: list
  elements: int
  sample: [1]
may_fail:
  description: How many of these may fail before no further one is begun.
  returned: always
  type: int
  sample: 0
stopped:
  description: Why no hub is upgraded now; empty where nothing forbids it.
  returned: always
  type: str
  sample: ""
not_before:
  description: When the next hubs may begin, where the batch before is still watched, or a window is closed.
  returned: always
  type: str
  sample: "2026-11-22T21:16:45+00:00"
fleet:
  description: All hubs, as they are in the fleet's report.
  returned: always
  type: dict
  sample: {"hubs": [{"host": "hub1", "batch": 1, "wanted": "6.1.1", "outcome": "waiting"}]}
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError


def refuse(_params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The action plugin does all of it, on the controller."""
    raise HubError("jupyterhub_fleet runs on the controller only.", "Call it as an Ansible task.")


def main() -> None:
    """Arguments, call, result."""
    spec = {
        "versions": {"type": "dict", "required": True},
        "looked": {"type": "dict", "required": True},
        "plans": {"type": "dict", "default": {}},
        "windows": {"type": "dict", "default": {}},
        "clocks": {"type": "dict", "default": {}},
        "canaries": {"type": "list", "elements": "str", "default": []},
        "serial": {"type": "list", "elements": "str", "default": ["25%"]},
        "soak": {"type": "str", "default": "0"},
        "max_fail_percentage": {"type": "float", "default": 0},
        "retry": {"type": "bool", "default": False},
        "pause_file": {"type": "str", "default": ""},
        "file": {"type": "str", "default": ""},
    }
    arguments.run(spec, refuse)


if __name__ == "__main__":
    main()
