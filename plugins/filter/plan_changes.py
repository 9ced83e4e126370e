# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import drift
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def changes(reviewed: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """What would not be done as it was reviewed, as sentences."""
    try:
        then = from_dict(Plan, reviewed)
    except HubError as error:
        raise AnsibleFilterError(
            f"The plan that was reviewed cannot be read: {error.message} Another version of the collection "
            "made it: run plan.yml again, and review that."
        ) from None
    return drift.changes(then, from_dict(Plan, plan))


class FilterModule:
    """Compares a plan that was reviewed with the one that would be carried out."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_changes": changes}
