#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_delete
short_description: Removes a broken Helm release of Zero to JupyterHub, where that is confirmed
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Runs C(helm uninstall) for a release whose hub does not serve, such as a test whose installation has
    failed. A database on the hub's volume goes with it, and so do recovery points there; users' volumes stay.
  - It is refused while the hub serves, while a user's server runs, while a run of another playbook is under
    way, and for a release of Flux or Argo CD.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.attributes
options:
  confirm:
    description: The namespace and the name of the release, C(namespace/name). With anything else the module
      fails with what would be removed.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Remove a test that has failed
  hubops.jupyterhub.z2jh_delete:
    release: test
    namespace: jhub-test
    confirm: jhub-test/test
"""

RETURN = r"""
summary:
  description: What is removed and what stays, as lines.
  returned: success
  type: list
  elements: str
  sample: ["The release test in jhub-test (failed) is removed."]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 4.0
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import deletion
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access


def act(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Look, and remove what is confirmed."""
    access = Access.from_params(params)
    found = deletion.look(access, params["release"])
    deletion.require(found, params["confirm"])
    if not check:
        deletion.delete(access, found)
    return {"changed": True, "summary": found.summary()}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(dict(**arguments.CLUSTER, confirm=dict(type="str", default="")), act)


if __name__ == "__main__":
    main()
