#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_servers_info
short_description: Lists users' servers that run on a hub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Asks the hub that runs. For that it writes a service, a role and a token into the hub's database, with the
    hub's own models, and removes them again, as M(hubops.jupyterhub.jupyterhub_verify) does.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.attributes.reads
attributes:
  check_mode:
    description: Writes no token in check mode, and so lists nothing.
    support: partial
    details: Skipped in check mode.
"""

EXAMPLES = r"""
- name: See who would notice a restart
  hubops.jupyterhub.jupyterhub_servers_info:
    deployment: "{{ jupyterhub_deployment }}"
  register: running
"""

RETURN = r"""
servers:
  description: The servers that run.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: Whose it is.
      type: str
      sample: ada
    name:
      description: Its name; empty for the user's default server.
      type: str
      sample: gpu
    path:
      description: Of its URL.
      type: str
      sample: /user/ada/gpu/
    last_activity:
      description: When somebody used it, ISO 8601 in UTC; empty where the hub does not know.
      type: str
      sample: "2026-11-20T21:14:58.123456Z"
users:
  description: The users who have one, each once, in order.
  returned: success
  type: list
  elements: str
  sample: [ada]
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import users_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Ask the hub, unless no token may be written."""
    if check:
        return {"changed": False, "skipped": True, "servers": [], "users": []}
    with users_servers.attending(from_dict(Deployment, params["deployment"]), None) as hub:
        found = hub.listed()
    return {
        "changed": False,
        "servers": [to_dict(server) for server in found],
        "users": sorted({server.user for server in found}),
    }


def main() -> None:
    """Arguments, call, result."""
    arguments.run(dict(**arguments.DEPLOYMENT), apply)


if __name__ == "__main__":
    main()
