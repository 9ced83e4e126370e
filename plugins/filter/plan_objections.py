# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import NOTHING, Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.plans import changes


def objections(planned: dict[str, Any], plans: dict[str, Any], host: str, file: str) -> list[str]:
    """What forbids to carry out a plan: its blockers, or else that it is not the one that was reviewed.

    Without a ``file`` none was reviewed. (That there are no plans is an empty text before ansible-core 2.19.)
    """
    plan = from_dict(Plan, planned["plan"])
    if planned["blockers"] or not file or plan.action == NOTHING:
        return list(planned["blockers"])
    if host not in plans:
        return [f"{file} has no plan for {host}. Run plan.yml for this host, with the same jupyterhub_plan."]
    changed = changes(plans[host], plan)
    if not changed:
        return []
    not_reviewed = f"This is not the plan that was reviewed, {file}: {' '.join(changed)}"
    return [f"{not_reviewed} Run plan.yml again, and review that."]


class FilterModule:
    """What forbids to carry out a plan."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_objections": objections}
