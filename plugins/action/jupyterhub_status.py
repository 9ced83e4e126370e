"""Shows how the hubs of a host stand."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if not boolean(self._task.args.get("show", True)):
            return result
        host = task_vars["inventory_hostname"]
        for name, lines in result.get("messages", {}).items():
            show([f"{host}, {name}:", *(f"  {line}" for line in lines)])
        if result.get("messages") == {}:
            show([f"{host}: no run and no recovery point is known."])
        return result
