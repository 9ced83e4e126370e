#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nebari_upgrade
short_description: Upgrades the config of a Nebari, and believes no exit status
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Runs C(nebari upgrade) of the wanted version on a copy of the config. The site gets the result only when
    it is of that version, and has domain, project, provider and namespace as before. C(nebari upgrade) ends
    with status 0 also where it has stopped half-way.
  - Nothing is deployed. Without O(attempt_fixes) it reaches no cluster and no cloud.
options:
  folder:
    description: Folder with C(nebari-config.yaml).
    type: path
    required: true
  version:
    description: The wanted version of Nebari.
    type: str
    required: true
  python:
    description: Python for it; C(python3.12), C(python3.11) or C(python3.10) of the C(PATH) unless given.
    type: path
    default: ""
  requirements:
    description: A file with requirements that pins its packages; only Nebari itself is pinned unless given.
    type: path
    default: ""
  answers:
    description: What its questions are answered with, in their order. A question without an answer ends it.
    type: list
    elements: str
    default: []
  attempt_fixes:
    description:
      - The site's domain, as the confirmation that C(--attempt-fixes) may change and delete objects in its
        cluster, without a further question.
    type: str
    default: ""
  kubeconfig:
    description: The kubeconfig of that cluster. Needed with O(attempt_fixes), and not used without it.
    type: path
    default: ""
  state_folder:
    description:
      - Folder in which program and output are kept, below it C(nebari) and the site's domain.
      - V(/var/lib/hubops) for root and C(~/.local/state/hubops) for other users, unless given.
    type: path
attributes:
  check_mode:
    description: Can run in check mode and say what it would change.
    support: full
  diff_mode:
    description: Shows how the config changes, without secrets.
    support: full
"""

EXAMPLES = r"""
- name: Upgrade the config, with the answers to its questions
  hubops.jupyterhub.nebari_upgrade:
    folder: /srv/nebari
    version: "2025.10.1"
    answers: ["n", "", "y"]
"""

RETURN = r"""
message:
  description: What became of it.
  returned: always
  type: str
  sample: upgraded from Nebari 2025.6.1 to 2025.10.1
evidence:
  description: What shows that; empty where nothing was done.
  returned: always
  type: dict
  sample: {"from": "2025.6.1", "to": "2025.10.1", "backup": "/srv/nebari/nebari-config.yaml.before-2025.10.1"}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 9.1
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import nebari
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def upgrade(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Upgrade the config."""
    done = nebari.upgrade(from_dict(nebari.Wanted, params), check)
    answer: dict[str, Any] = {"changed": done.changed, "message": done.message, "evidence": done.evidence}
    if done.after:
        header = {"before_header": nebari.NAME, "after_header": nebari.NAME}
        answer["diff"] = {"before": done.before, "after": done.after, **header}
    return answer


def main() -> None:
    """Arguments, call, result."""
    spec = {
        "folder": {"type": "path", "required": True},
        "version": {"type": "str", "required": True},
        "python": {"type": "path", "default": ""},
        "requirements": {"type": "path", "default": ""},
        "answers": {"type": "list", "elements": "str", "default": []},
        "attempt_fixes": {"type": "str", "default": ""},
        "kubeconfig": {"type": "path", "default": ""},
        "state_folder": {"type": "path"},
    }
    arguments.run(spec, upgrade)


if __name__ == "__main__":
    main()
