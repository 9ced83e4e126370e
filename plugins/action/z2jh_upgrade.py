"""Shows what an upgrade of a Helm release waits for."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress

#: What an upgrade takes beside Helm and the start of the hub: the dump of a database on a server, above all.
MORE_SECONDS = 4500


class ActionModule(ActionBase):
    """Runs the module in the background."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            result.update(self._execute_module(task_vars=task_vars))
        else:
            # Helm and the start of the hub, each at most twice.
            limit = 4 * int(self._task.args.get("timeout") or 600) + MORE_SECONDS
            result.update(run_with_progress(self, task_vars, limit))
        return result
