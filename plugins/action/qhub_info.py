"""Shows the plan of a redeployment, or how it stands."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if result.get("lines"):
            first, *others = result["lines"]
            show([f"{task_vars['inventory_hostname']}: {first}", *others])
        return result
