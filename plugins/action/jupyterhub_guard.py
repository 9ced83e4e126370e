"""Accepts a new hub over a new connection, and copies recovery points to the controller where asked to."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.copies import fetch


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        accepts = self._task.args.get("state") == "accepted"
        if accepts:
            # A host that can still be reached over the old connection has not shown that it can be reached.
            self._connection.reset()
        result.update(self._execute_module(task_vars=task_vars))
        folder, point = (self._task.args.get(name) for name in ("fetch", "recovery_point"))
        if accepts and folder and point and not self._task.check_mode and not result.get("failed"):
            result["copy"] = fetch(self, task_vars, point, folder)
            try:
                if result.get("backup"):
                    fetch(self, task_vars, result["backup"], folder)
            except AnsibleActionFail as error:
                # The hub is accepted: this is no failed upgrade.
                result.setdefault("warnings", []).append(str(error))
        return result
