"""Keeps the deployment that the module ``jupyterhub_info`` finds as a fact."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on, with_phase


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if "deployment" in result:
            phases = with_phase(task_vars, "find", result)
            hand_on(result, jupyterhub_deployment=result["deployment"], jupyterhub_phases=phases)
        return result
