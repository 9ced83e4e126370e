#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_awx
short_description: Sets AWX up to upgrade JupyterHubs
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Makes organization, execution environment, project, inventory, a type of credentials, job templates with
    surveys, the workflow of plan, approval, upgrade and verification, and a schedule, or removes them.
  - Over AWX's REST API, which Automation Controller has as well. What is there already and is as it should be
    is left alone, and so are fields that are not listed in the guide.
options:
  url:
    description: Address of AWX, without the API's path.
    type: str
    required: true
  api:
    description: Path of the API. Where a gateway is in front of AWX it is C(/api/controller/v2).
    type: str
    default: /api/v2
  token:
    description: Token of a user who may make these objects.
    type: str
    required: true
  validate_certs:
    description: Whether to verify the certificate.
    type: bool
    default: true
  state:
    description:
      - V(absent) removes everything but the organization, which others may use too. Records of jobs go with
        their templates.
    type: str
    choices: [present, absent]
    default: present
  prefix:
    description: Name of the objects, and begin of the names of templates.
    type: str
    default: JupyterHub
  organization:
    description: Organization that they belong to.
    type: str
    default: JupyterHub
  image:
    description: Image of the execution environment.
    type: str
    default: ""
  project_url:
    description: Git repository with the playbooks of this collection's folder C(awx), and the inventory.
    type: str
    default: ""
  project_branch:
    description: Its branch, tag or commit; the default one, when empty.
    type: str
    default: ""
  inventory_path:
    description: File in it that is the inventory.
    type: str
    default: inventory.yml
  credential:
    description: Credential, by its name, with which the hubs' hosts are reached. Make it in AWX before.
    type: str
    default: ""
  notification:
    description: Notification template, by its name, that is told of approvals and errors, if any.
    type: str
    default: ""
  window:
    description: When the fleet is upgraded, C(days), C(start) and C(hours); there is no schedule, when empty.
    type: dict
    default: {}
  time_zone:
    description: The time zone of the O(window), which should be that of the hubs' hosts.
    type: str
    default: UTC
  specs:
    description: Roles' C(options) and C(defaults), which surveys are made from.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - hubops.jupyterhub.attributes
"""

EXAMPLES = r"""
- name: Set AWX up
  hubops.jupyterhub.jupyterhub_awx:
    url: https://awx.example.org
    token: "{{ awx_token }}"
    image: registry.example.org/hubops-ee:0.1.0
    project_url: https://git.example.org/hubs.git
    credential: hubs
"""

RETURN = r"""
objects:
  description: What was made, changed or removed.
  returned: always
  type: list
  elements: str
  sample: ["job_templates: JupyterHub: plan"]
"""

import json
from typing import Any
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import open_url
from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.awx import objects, setup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

SETTINGS = (
    "organization",
    "image",
    "project_url",
    "project_branch",
    "inventory_path",
    "credential",
    "notification",
    "window",
    "time_zone",
    "prefix",
)


def set_up(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make AWX as it should be."""
    settings = objects.Settings(**{name: params[name] for name in SETTINGS})
    asked = objects.questions((each["options"], each["defaults"]) for each in params["specs"])
    wanted = objects.things(settings, asked)
    call = caller(params)
    if params["state"] == "absent":
        changed = setup.absent(call, wanted, keep=("organizations",), check=check)
    else:
        changed = setup.present(call, wanted, check=check)
    return {"changed": bool(changed), "objects": changed}


def caller(params: dict[str, Any]) -> setup.Call:
    """How requests are made."""
    base = f"{params['url'].rstrip('/')}/{params['api'].strip('/')}/"
    headers = {"Authorization": f"Bearer {params['token']}", "Content-Type": "application/json"}

    def call(method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body)
        try:
            with open_url(
                base + path,
                method=method,
                data=data,
                headers=headers,
                validate_certs=params["validate_certs"],
                timeout=60,
            ) as answer:
                text = answer.read()
        except HTTPError as error:
            why = error.read().decode(errors="replace")[:1000]
            raise HubError(f"AWX refuses {method} {path}: {error.code} {why}", _remedy(error.code)) from None
        except (URLError, OSError) as error:
            raise HubError(f"{base} does not answer: {error}", "Correct url and api of AWX.") from None
        return json.loads(text) if text else None

    return call


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "Give the token of a user who may administer the organization."
    if status == 404:
        return "Correct url and api: AWX's own API is /api/v2, behind a gateway /api/controller/v2."
    return "Correct what AWX names."


def main() -> None:
    """Arguments, call, result."""
    text = {"type": "str", "default": ""}
    arguments.run(
        {
            "url": {"type": "str", "required": True},
            "api": {"type": "str", "default": "/api/v2"},
            "token": {"type": "str", "required": True, "no_log": True},
            "validate_certs": {"type": "bool", "default": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "prefix": {"type": "str", "default": "JupyterHub"},
            "organization": {"type": "str", "default": "JupyterHub"},
            "image": text,
            "project_url": text,
            "project_branch": text,
            "inventory_path": {"type": "str", "default": "inventory.yml"},
            "credential": text,
            "notification": text,
            "window": {"type": "dict", "default": {}},
            "time_zone": {"type": "str", "default": "UTC"},
            "specs": {"type": "list", "elements": "dict", "default": []},
        },
        set_up,
        required_if=[("state", "present", ("image", "project_url"))],
    )


if __name__ == "__main__":
    main()
