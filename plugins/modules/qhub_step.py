#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: qhub_step
short_description: Carries out one step of the redeployment of a QHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - A step that is done, and whose result is still so, is left alone. One whose turn has not come is refused.
  - A step that was cut off is carried out again by the next call; what it has to change in the site's folder
    it changes last.
  - V(destroy_old_site) cannot be undone, and needs the old project's name in O(site.destroy_project).
  - Output of QHub is kept in the state folder without secrets, for its owner alone.
options:
  step:
    description:
      - The step, in the order in which they come. V(restore_old_domain) and V(verify_old_site) are the
        way back, at any time once the redeployment has begun.
    type: str
    required: true
    choices:
      - back_up
      - install
      - rename_old_site
      - upgrade_config
      - rename_project
      - deploy
      - add_callback
      - commit
      - restore
      - import_users
      - root_password
      - verify
      - destroy_old_site
      - remove_callbacks
      - restore_old_domain
      - verify_old_site
  ready:
    description:
      - Carry nothing out. Only see whether the step could be carried out now, and fail where it could not.
    type: bool
    default: false
extends_documentation_fragment:
  - hubops.jupyterhub.qhub_site
attributes:
  check_mode:
    description: Can run in check mode and say what it would change.
    support: full
  diff_mode:
    description: Shows how the config changes, without secrets.
    support: full
"""

EXAMPLES = r"""
- name: Upgrade the config
  hubops.jupyterhub.qhub_step:
    step: upgrade_config
    site:
      folder: /srv/qhub
      version: "0.4.5"
      project: myqhubnew
      old_domain: qhub-old.example.org
      user_data: {path: /backups/home.tar}
      hub_database: {path: /backups/jupyterhub.sqlite}
"""

RETURN = r"""
message:
  description: What became of the step.
  returned: always
  type: str
  sample: carried out
evidence:
  description: What shows that it is done; empty where it was not carried out now.
  returned: always
  type: dict
  sample: {"project": "myqhubnew", "kubernetes_version": "1.22"}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 2.1
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.steps.kinds import NAMES
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def take(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Carry out the step."""
    site = from_dict(Site, params["site"])
    if params["ready"]:
        taken = redeployment.ready(site, params["step"])
    else:
        taken = redeployment.take(site, params["step"], check)
    answer: dict[str, Any] = {"changed": taken.changed, "message": taken.message, "evidence": {}}
    if taken.result:
        answer["evidence"] = taken.result.evidence
        answer["diff"] = {
            "before": taken.result.before,
            "after": taken.result.after,
            "before_header": "qhub-config.yaml",
            "after_header": "qhub-config.yaml",
        }
    return answer


def main() -> None:
    """Arguments, call, result."""
    steps = {
        "step": {"type": "str", "required": True, "choices": list(NAMES)},
        "ready": {"type": "bool", "default": False},
    }
    arguments.run(dict(**steps, **arguments.QHUB_SITE), take)


if __name__ == "__main__":
    main()
