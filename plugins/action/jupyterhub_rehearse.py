"""Shows what the module ``jupyterhub_rehearse`` is doing while it works."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress

#: Beyond the module's own timeouts: copying and comparing a large database.
MORE_SECONDS = 1800


class ActionModule(ActionBase):
    """Runs the module in the background."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._task.check_mode or self._task.async_val:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val)))
        else:
            # The hub's start, a server's start and its stop.
            limit = 3 * int(self._task.args.get("start_timeout") or 120)
            limit += int(self._task.args.get("migration_timeout") or 3600) + MORE_SECONDS
            result.update(run_with_progress(self, task_vars, limit))
        return result
