#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_lab_notification
short_description: Shows a notification in JupyterLab to the people whose server runs
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Sends it to every user's server that runs, of which those take it that have
    C(jupyterlab_notifications_extension) installed, for JupyterLab 4.6 and later. It is shown at once on each
    page that is open, until it is closed.
  - Asks the hub which servers run, with a token that is written into its database and removed again, as
    M(hubops.jupyterhub.jupyterhub_servers_info) does.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description: Sends nothing in check mode, and does not ask the hub.
    support: full
options:
  text:
    description: What to show.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Tell those who compute
  hubops.jupyterhub.jupyterhub_lab_notification:
    deployment: "{{ jupyterhub_deployment }}"
    text: "JupyterHub is going to be upgraded at 22:00. Please save your work."
"""

RETURN = r"""
told:
  description: The servers that have taken it, as C(ada), or C(ada/gpu) of a named one.
  returned: success
  type: list
  elements: str
  sample: [ada]
without:
  description: Those that do not have the extension.
  returned: success
  type: list
  elements: str
  sample: [eve/gpu]
unreached:
  description: Those that have answered something else, and what.
  returned: success
  type: dict
  sample: {}
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import users_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Send it; whoever does not get it is no reason to fail."""
    if check:
        return {"changed": True, "told": [], "without": [], "unreached": {}}
    deployment = from_dict(Deployment, params["deployment"])
    with users_servers.attending(deployment, None, scopes=users_servers.ACCESS) as hub:
        sent = hub.notify(params["text"])
    return {"changed": bool(sent.told), **vars(sent)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(dict(**arguments.DEPLOYMENT, text=dict(type="str", required=True)), apply)


if __name__ == "__main__":
    main()
