"""Shows what the module ``jupyterhub_rebuild`` is doing, and what it has done."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import (
    INSTALL_SECONDS,
    run_with_progress,
)
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module, in the background where it builds."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            result.update(self._execute_module(task_vars=task_vars))
        else:
            result.update(run_with_progress(self, task_vars, INSTALL_SECONDS))
        show([f"{task_vars['inventory_hostname']} | {line}" for line in result.get("messages", [])])
        return result
