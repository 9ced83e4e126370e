"""Plans on the controller, for those who review them: data, a page, Markdown for a ticket."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan_page import document
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.controller import holder
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.pages import files


def contents(plans: dict[str, Any], file: str) -> dict[Path, str]:
    """The plans, by host, as files."""
    made, by = datetime.now(timezone.utc), holder()
    page = document(
        {host: from_dict(Plan, plan) for host, plan in plans.items()},
        f"{made:%Y-%m-%d %H:%M} UTC",
        f"{by['user']} on {by['controller']}",
    )
    return files(
        file,
        {
            ".json": json.dumps(plans, indent=2, sort_keys=True) + "\n",
            ".html": page.html(),
            ".md": page.markdown(),
        },
    )
