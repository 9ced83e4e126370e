"""Shows the plan of a redeployment, or how it stands; writes the report on the controller."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.redeployment import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.report import contents
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.pages import files
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if result.get("lines"):
            first, *others = result["lines"]
            show([f"{task_vars['inventory_hostname']}: {first}", *others])
            file = self._task.args.get("fetch")
            if file and not self._task.check_mode:
                plan = from_dict(Plan, result["plan"])
                for path, content in files(file, contents(plan)).items():
                    path.write_text(content, encoding="utf-8")
        return result
