# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan_page import document
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.controller import holder
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.pages import files


def plan_files(plans: dict[str, Any], file: str) -> list[dict[str, str]]:
    """The plans, by host, as files: ``path`` and ``content`` of each."""
    made, by = datetime.now(timezone.utc), holder()
    page = document(
        {host: from_dict(Plan, plan) for host, plan in plans.items()},
        f"{made:%Y-%m-%d %H:%M} UTC",
        f"{by['user']} on {by['controller']}",
    )
    contents = {
        ".json": json.dumps(plans, indent=2, sort_keys=True) + "\n",
        ".html": page.html(),
        ".md": page.markdown(),
    }
    return [{"path": str(path), "content": content} for path, content in files(file, contents).items()]


class FilterModule:
    """The plans as files for review."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_files": plan_files}
