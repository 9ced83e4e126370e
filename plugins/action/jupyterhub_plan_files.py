"""Writes the plans of all hosts into files on the controller."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.files import write
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.plan_files import contents


class ActionModule(ActionBase):
    """Needs nothing of the host that it is run for."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        made = contents(self._task.args["plans"], self._task.args["file"])
        try:
            for path, content in made.items() if not self._task.check_mode else ():
                write(path, content.encode(), 0o644)
        except OSError as error:
            why = HubError(f"The plan cannot be written: {error}.", "Name a file in a folder that is there.")
            return {**result, "failed": True, "msg": str(why)}
        return {**result, "changed": False, "files": [str(path) for path in made]}
