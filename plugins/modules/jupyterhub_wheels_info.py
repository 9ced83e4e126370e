#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_wheels_info
short_description: Tells which wheels the upgrade of a hub is going to install
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Says for each environment that an upgrade changes what it needs and what it has, with its Python and its
    platform, so that M(hubops.jupyterhub.jupyterhub_wheelhouse) can download the wheels elsewhere.
  - No index is asked. An environment whose new one is an image is left out.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes.reads
options:
  version:
    description: The version to upgrade to, as a number.
    type: str
    required: true
  python:
    description: Interpreter for the new environments; the present one, unless it is named.
    type: str
    default: ""
  packages:
    description: Requirements for the hub's environment, besides JupyterHub.
    type: list
    elements: str
    default: []
  user_packages:
    description: Requirements for single-user environments, besides JupyterHub.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: See what each environment is going to get
  hubops.jupyterhub.jupyterhub_wheels_info:
    deployment: "{{ jupyterhub_deployment }}"
    version: "6.1.1"
  register: wanted
"""

RETURN = r"""
needs:
  description: What each environment is going to get; none where the hub has all of it.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The environment.
      type: str
      sample: /opt/jupyterhub
    python:
      description: Minor version of its Python.
      type: str
      sample: "3.11"
    platform:
      description: Machine and C library of the host.
      type: str
      sample: x86_64-manylinux_2_36
    requirements:
      description: What is installed.
      type: list
      elements: str
      sample: [jupyterhub==6.1.1]
    packages:
      description: What it has, by name; versions that are kept where the requirements allow it.
      type: dict
      sample: {alembic: 1.13.1}
    from_scratch:
      description: Whether the packages that it has are installed as well.
      type: bool
      sample: false
    constraints:
      description: Lines of the file of constraints.
      type: list
      elements: str
      sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.2
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    installer_options,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.wheel_needs import wheel_needs
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict

POLICY = ("python", "packages", "user_packages")


def needed(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The needs of a deployment."""
    deployment = from_dict(Deployment, params["deployment"])
    policy = Policy(**{key: params[key] for key in POLICY})
    found = wheel_needs(deployment, params["version"], policy, installer_options(params))
    return {"changed": False, "needs": [to_dict(need) for need in found]}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            version=dict(type="str", required=True),
            python=dict(type="str", default=""),
            packages=dict(type="list", elements="str", default=[]),
            user_packages=dict(type="list", elements="str", default=[]),
            **arguments.INSTALLER,
        ),
        needed,
    )


if __name__ == "__main__":
    main()
