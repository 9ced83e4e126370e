"""Plans that were reviewed: a file on the controller, as the playbook ``plan`` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.newest import WORDS
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import NOTHING, Plan
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans

NAME_IT = "Name the file that plan.yml has written: jupyterhub_plan."
AGAIN = "Run plan.yml again, and review that."


def read(action: ActionBase, file: str) -> dict[str, Any]:
    """The plans by host; none without a file. Raises HubError for one that cannot be read.

    The file is found where ``ansible.builtin.file`` would find it.
    """
    if not file:
        return {}
    try:
        path = Path(action._find_needle("files", file))
    except AnsibleError as error:
        raise HubError(f"There is no reviewed plan {file}.", NAME_IT) from error
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HubError(f"The reviewed plan {file} cannot be read: {error}.", NAME_IT) from error
    if not isinstance(found, dict):
        raise HubError(f"{file} has no plans by host.", NAME_IT)
    return found


def version(wanted: str, reviewed: dict[str, Any], host: str) -> str:
    """The version that was reviewed for a host, where ``wanted`` is only a word for it."""
    return str(reviewed[host]["to_version"]) if wanted in WORDS and host in reviewed else wanted


def objections(
    plan: Plan, blockers: Iterable[str], reviewed: dict[str, Any], host: str, file: str
) -> list[str]:
    """What forbids to carry out a plan: its blockers, or else that it is not the one that was reviewed.

    Without a ``file`` none was reviewed.
    """
    found = list(blockers)
    if found or not file or plan.action == NOTHING:
        return found
    if host not in reviewed:
        return [f"{file} has no plan for {host}. Run plan.yml for this host, with the same jupyterhub_plan."]
    changed = plans.changes(reviewed[host], plan)
    return [f"This is not the plan that was reviewed, {file}: {' '.join(changed)} {AGAIN}"] if changed else []
