#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_version_match
short_description: Compares a hub's version with its single-user environments and its database
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A hub starts single-user servers of any version without complaint; those that do not match fail later, in
    the browser of a user. This module tells before.
  - An equal version is V(ok), another release of the same major V(warn), another major or a release newer
    than the hub's V(fail), and so is an environment without JupyterHub.
  - A database is V(ok) when its revision is the one that the hub needs. The hub's environment tells which
    that is, where O(deployment) has one of this version; otherwise what is known of the version's major does.
  - Only installed metadata is read. No interpreter is started, so a thousand environments take less than a
    second.
extends_documentation_fragment:
  - hubops.jupyterhub.mismatches
  - hubops.jupyterhub.attributes.reads
options:
  deployment:
    description:
      - The deployment, as RV(hubops.jupyterhub.jupyterhub_info#module:deployment) describes it. The hub's
        version, its single-user environments and the database's revision are taken from it.
    type: dict
  hub_version:
    description: The hub's version. Needed without O(deployment), and used in the place of the deployment's.
    type: str
  environments:
    description: Paths and globs of single-user environments, besides those of O(deployment).
    type: list
    elements: str
    default: []
  revision:
    description:
      - The database's alembic revision, in the place of the deployment's. Not compared when neither is known.
    type: str
  fail:
    description: Whether the task fails when a verdict is V(fail).
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Does everything that a user can start match the hub?
  hubops.jupyterhub.jupyterhub_version_match:
    deployment: "{{ jupyterhub_deployment }}"
    environments:
      - /opt/kernels/*

- name: What would not match if the hub were upgraded
  hubops.jupyterhub.jupyterhub_version_match:
    hub_version: "6.1.1"
    environments:
      - /opt/kernels/*
    fail: false
  register: foreseen
"""

RETURN = r"""
hub_version:
  description: The version that the others were compared with.
  returned: always
  type: str
  sample: 5.4.6
environments:
  description: Each environment with its version, the verdict and the reason.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /opt/kernels/2024
      version: 4.1.6
      verdict: fail
      reason: "It has JupyterHub 4.1.6, the hub has 5.4.6: another major."
database:
  description: The database's revision, the verdict and the reason; null where no revision is known.
  returned: always
  type: dict
  sample:
    revision: 4621fec11365
    verdict: ok
    reason: It is what JupyterHub 5.4.6 needs.
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.01
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.compatibility import (
    failures,
    match_deployment,
    message,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.discovery import (
    expand_environments,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def apply(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The verdicts, which fail the task where one of them is V(fail)."""
    result = compared(params)
    failed = failures(result)
    if failed and params["fail"]:
        raise HubError(message(failed), results=result)
    return {"changed": False, **result}


def compared(options: dict[str, Any]) -> dict[str, Any]:
    """The verdicts on what the options and the deployment in them name."""
    deployment = from_dict(Deployment, options["deployment"]) if options["deployment"] else None
    hub_version = options["hub_version"] or (deployment and deployment.jupyterhub)
    if not hub_version:
        raise HubError("The hub's version is not known.", "Give one of deployment and hub_version.")
    more = expand_environments(options["environments"])
    return match_deployment(deployment, hub_version, options["revision"] or "", options["allow"], more)


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            deployment=dict(type="dict"),
            hub_version=dict(type="str"),
            environments=dict(type="list", elements="str", default=[]),
            revision=dict(type="str"),
            **arguments.MISMATCHES,
            fail=dict(type="bool", default=True),
        ),
        apply,
        required_one_of=[("deployment", "hub_version")],
    )


if __name__ == "__main__":
    main()
