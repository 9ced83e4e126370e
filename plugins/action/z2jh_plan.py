"""Shows the plan that the module ``z2jh_plan`` makes."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import report
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Plan
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

NO_VERSION = 'No chart to upgrade to. Set it in the inventory, in quotes: z2jh_chart_version: "4.4.0".'


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if not self._task.args.get("chart_version"):
            return {**result, "failed": True, "msg": NO_VERSION}
        details = boolean(self._task.args.get("details", False))
        result.update(self._execute_module(task_vars=task_vars))
        if "plan" in result:
            hand_on(result, z2jh_plan={"action": result["plan"]["action"]})
            plan = from_dict(Plan, result["plan"])
            show(
                [
                    "",
                    report.verdict(plan),
                    *(f"    {line}" for line in report.summary(plan)),
                    *plans.lines_of(plan.findings, details),
                    # Ansible shows the difference of a module only where that has changed something.
                    *(report.differences(plan) if self._task.diff else ()),
                ]
            )
        return result
