#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_singleuser_info
short_description: Finds the single-user environments of a host on which no hub runs
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Finds the environments that a hub's spawner starts servers from on another host, as sudospawner,
    batchspawner or a spawner over SSH does, and what an upgrade of them has to know of the host.
  - They are those of the spawner's command, and those that are named. Only files are read, and interpreters
    asked for their version.
  - With O(hub_version) it says whether servers that start there go with a hub of that version.
extends_documentation_fragment:
  - hubops.jupyterhub.attributes.reads
  - hubops.jupyterhub.mismatches
options:
  host:
    description: Name of this host in the inventory.
    type: str
    required: true
  commands:
    description: The spawner's commands for servers, each as a list of its words.
    type: list
    elements: list
    default: []
  search_path:
    description: Folders in which a command without a path is looked up, as in C(PATH).
    type: str
    default: /usr/local/bin:/usr/bin:/bin
  user_environments:
    description: Paths and globs of its environments besides the one of the spawner's command.
    type: list
    elements: str
    default: []
  python:
    description: Interpreter on this host for the new environments; the old ones', unless given.
    type: str
    default: ""
  hub_version:
    description: The version that the hub runs, to compare the environments with.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find the environments of a compute node
  hubops.jupyterhub.jupyterhub_singleuser_info:
    host: node1.example.org
    commands:
      - [/opt/jupyter/bin/jupyterhub-singleuser]
  delegate_to: node1.example.org
  register: node
"""

RETURN = r"""
found:
  description: What the plan has to know of the host.
  returned: where O(hub_version) is not given
  type: dict
  contains:
    name:
      description: Name of the host in the inventory.
      type: str
      sample: node1.example.org
    problem:
      description: Why nothing is known of it; of this module always empty.
      type: str
      sample: ""
    without_hub:
      description: Whether the problem is that nothing says which hub it belongs to.
      type: bool
      sample: false
    environments:
      description: The environments.
      type: list
      elements: dict
      sample:
        - path: /opt/jupyter
          kind: venv
          python: /opt/jupyter/bin/python
          python_version: 3.11.2
          jupyterhub: 4.1.6
          packages: {jupyterhub: 4.1.6}
    user:
      description: The user who would change them.
      type: str
      sample: root
    installed:
      description: All packages of each environment.
      type: dict
      sample: {/opt/jupyter: {jupyterhub: 4.1.6}}
    free_bytes:
      description: Space beside them, by folder.
      type: dict
      sample: {/opt: 8000000000}
    environment_bytes:
      description: Their sizes.
      type: dict
      sample: {/opt/jupyter: 400000000}
    not_writable:
      description: Which of these folders that user may not write.
      type: list
      elements: str
      sample: []
    python_versions:
      description: What their interpreters say.
      type: dict
      sample: {/opt/jupyter/bin/python: 3.11.2}
    links:
      description: Links of each through which an installer would leave it, as pairs of path and target.
      type: dict
      sample: {/opt/jupyter: []}
    mounts:
      description: Points in each at which a file system is mounted.
      type: dict
      sample: {/opt/jupyter: []}
    shared:
      description: Those on network file systems, and of which kind these are.
      type: dict
      sample: {}
match:
  description: Whether the environments go with the hub.
  returned: where O(hub_version) is given
  type: list
  elements: dict
  sample: [{path: /opt/jupyter, version: 6.1.1, verdict: ok, reason: "It has the hub's version 6.1.1."}]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.3
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.elsewhere import (
    describe_host,
    find_environments,
    judge,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict


def found(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The environments of this host, which is not the hub's."""
    found_here = find_environments(params["commands"], params["search_path"], params["user_environments"])
    if params["hub_version"]:
        paths = [each.path for each in found_here]
        return {"changed": False, "match": judge(paths, params["hub_version"], params["allow"])}
    return {"changed": False, "found": to_dict(describe_host(params["host"], found_here, params["python"]))}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            host=dict(type="str", required=True),
            commands=dict(type="list", elements="list", default=[]),
            search_path=dict(type="str", default="/usr/local/bin:/usr/bin:/bin"),
            user_environments=dict(type="list", elements="str", default=[]),
            python=dict(type="str", default=""),
            hub_version=dict(type="str", default=""),
            **arguments.MISMATCHES,
        ),
        found,
    )


if __name__ == "__main__":
    main()
