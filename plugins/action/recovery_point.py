"""Keeps where a recovery point was made as a fact, and copies it to the controller where asked to."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.copies import fetch
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        folder = arguments.pop("fetch", "")
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if result.get("failed"):
            return result
        if arguments.get("state") == "present":
            hand_on(result, jupyterhub_backup=result["path"])
            if folder and not self._task.check_mode:
                result["copy"] = fetch(self, task_vars, result["path"], folder)
        return result
