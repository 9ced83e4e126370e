"""Shows the plan that the module ``jupyterhub_plan`` makes, keeps it as a fact, and says what forbids it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans, reviewed_plans
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on, with_phase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

NO_VERSION = 'No version to upgrade to. Set it in the inventory, in quotes: jupyterhub_version: "6.1.1".'


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments, host = self._task.args, task_vars["inventory_hostname"]
        if not arguments.get("version"):
            return {**result, "failed": True, "msg": NO_VERSION}
        details, file = boolean(arguments.get("details", False)), arguments.get("reviewed") or ""
        try:
            reviewed = reviewed_plans.read(self, file)
        except HubError as error:
            return {**result, "failed": True, "msg": str(error)}
        version = reviewed_plans.version(arguments["version"], reviewed, host)
        result.update(
            self._execute_module(module_args={**arguments, "version": version}, task_vars=task_vars)
        )
        if "plan" in result:
            phases = with_phase(task_vars, "plan", result)
            hand_on(result, jupyterhub_upgrade_plan=result["plan"], jupyterhub_phases=phases)
            plan = from_dict(Plan, result["plan"])
            result["objections"] = reviewed_plans.objections(plan, result["blockers"], reviewed, host, file)
            show(
                [
                    "",
                    plans.verdict(plan, host),
                    *plans.lines_of(plan.findings, details),
                    *(plans.steps(plan) if details else []),
                ]
            )
        return result
