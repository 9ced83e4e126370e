"""Shows the plan of a move, and completes it by what the rehearsal has shown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on, with_phase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

NO_DATABASE = "No database to move to. Name it, best in a vault: jupyterhub_database_url."
#: Beyond the module's own timeouts: copying the old database, emptying the new one.
MORE_SECONDS = 1800


class ActionModule(ActionBase):
    """Runs the module; the rehearsal in the background."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if not self._task.args.get("database_url"):
            return {**result, "failed": True, "msg": NO_DATABASE}
        # Ansible replaces the whole value, which must not be logged, wherever else it finds it: in the plan.
        arguments = {**self._task.args, "database_url": json.dumps({"url": self._task.args["database_url"]})}
        act = self._plan if arguments.get("state") == "planned" else self._rehearse
        result.update(act(arguments, task_vars))
        return result

    def _plan(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result = dict(self._execute_module(module_args=arguments, task_vars=task_vars))
        if "plan" in result:
            phases = with_phase(task_vars, "plan", result)
            hand_on(result, jupyterhub_upgrade_plan=result["plan"], jupyterhub_phases=phases)
            plan = from_dict(Plan, result["plan"])
            shown = [plan.move.diff, *plans.steps(plan)] if plan.move else []
            self._show(task_vars, plan, [*plans.lines_of(plan.findings, details=False), *shown])
        return result

    def _rehearse(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {"changed": False}
        limit = int(arguments.get("start_timeout") or 120) + int(arguments.get("move_timeout") or 3600)
        result = run_with_progress(self, task_vars, limit + MORE_SECONDS, arguments=arguments)
        if "expected_outage_seconds" in result:
            plan = replace(
                from_dict(Plan, arguments["plan"]),
                expected_outage_seconds=result["expected_outage_seconds"],
                rehearsal_seconds=result["timings"],
            )
            result["plan"] = to_dict(plan)
            hand_on(result, jupyterhub_upgrade_plan=result["plan"])
            rows = sum(result["rows"].values())
            self._show(task_vars, plan, [f"{rows:,} rows were copied, compared and removed again."])
        return result

    def _show(self, task_vars: dict[str, Any], plan: Plan, lines: list[str]) -> None:
        show(["", plans.verdict(plan, task_vars["inventory_hostname"]), *lines])
