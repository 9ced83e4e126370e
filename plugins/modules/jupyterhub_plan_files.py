#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_plan_files
short_description: Writes the plans of all hosts into files on the controller
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Writes the plans as the JSON that an upgrade follows, as a page for those who review it, and as Markdown
    for a ticket.
  - Runs on the controller. Writes nothing in check mode.
options:
  plans:
    description: RV(hubops.jupyterhub.jupyterhub_plan#module:plan), by host.
    type: dict
    required: true
  file:
    description: The JSON. Page and ticket go beside it, with the suffixes C(.html) and C(.md).
    type: str
    required: true
extends_documentation_fragment:
  - hubops.jupyterhub.attributes.reads
"""

EXAMPLES = r"""
- name: Write the plan for review
  hubops.jupyterhub.jupyterhub_plan_files:
    plans: {hub1: "{{ jupyterhub_upgrade_plan }}"}
    file: plan.json
"""

RETURN = r"""
files:
  description: What was written.
  returned: success
  type: list
  elements: str
  sample: [plan.json, plan.html, plan.md]
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError


def refuse(_params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The action plugin does all of it, on the controller."""
    raise HubError("jupyterhub_plan_files runs on the controller only.", "Call it as an Ansible task.")


def main() -> None:
    """Arguments, call, result."""
    spec = {"plans": {"type": "dict", "required": True}, "file": {"type": "str", "required": True}}
    arguments.run(spec, refuse)


if __name__ == "__main__":
    main()
