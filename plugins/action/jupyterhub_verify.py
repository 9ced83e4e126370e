"""Shows what the module ``jupyterhub_verify`` has found where it stands alone; a run has its report."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.journal import SEEN
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if "version" in result and not self._task.args.get("run"):
            users = "" if result["users"] is None else f", reads {result['users']} users from its database"
            place = f" in {result['sys_executable']}" if result["sys_executable"] else ""
            works = f"{task_vars['inventory_hostname']}: JupyterHub {result['version']} works{place}{users}"
            checks = [f"{name}: {ended}" for name, ended in result["checks"].items()]
            show([works, *checks, *(f"{kind}: {line}" for kind in SEEN for line in result[kind])])
        return result
