"""Shows what the host does in the outage, which it carries out whether anybody watches or not."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress

#: Longer than all steps and their restore may take with the module's own limits.
LIMIT_SECONDS = 24 * 3600


class ActionModule(ActionBase):
    """Runs the module in the background."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            result.update(self._execute_module(task_vars=task_vars))
        else:
            result.update(run_with_progress(self, task_vars, LIMIT_SECONDS))
        return result
