"""Shows what the module ``jupyterhub_environment`` is doing while it stages; its other states are quick."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress

#: An index that is this slow has failed.
LIMIT_SECONDS = 3600


class ActionModule(ActionBase):
    """Runs the module, in the background where it takes long; what it stages is kept as a fact."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        stages = self._task.args.get("state") == "staged"
        if stages and not self._task.check_mode and not self._task.async_val:
            result.update(run_with_progress(self, task_vars, LIMIT_SECONDS))
        else:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val)))
        if stages and "environments" in result:
            hand_on(result, jupyterhub_staged=result["environments"])
        return result
