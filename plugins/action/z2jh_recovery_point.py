"""Hands on the recovery point of a Helm release, and shows what restoring one would lose."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if "recovery_point" in result:
            compared = self._task.args.get("state") == "compared"
            name = "z2jh_rollback" if compared else "z2jh_recovery_point"
            hand_on(result, **{name: result["recovery_point"]})
        if "summary" in result:
            show([f"{task_vars['inventory_hostname']} | {line}" for line in result["summary"]])
        return result
