# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.drift import changes


class FilterModule:
    """Compares a plan that was reviewed with the one that would be carried out."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_changes": changes}
