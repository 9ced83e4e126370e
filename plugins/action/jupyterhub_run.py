"""Names the holder of a run, and detects whether an earlier run of this controller has died."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.controller import has_died, holder
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import NOTHING, hand_on, known
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.plans import lines_of
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module with ``holder`` filled in, and keeps what it knows of the run as facts."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        state = self._task.args.get("state")
        if state == "ended":
            result.update(self._end(task_vars))
        elif state != "replanned" or self._task.args.get("run"):
            result.update(self._act(task_vars))
        if state == "replanned" and not result.get("failed"):
            plan, before = (
                from_dict(Plan, each)
                for each in (self._task.args["plan"], known(task_vars, "jupyterhub_upgrade_plan"))
            )
            show(lines_of([each for each in plan.findings if each not in before.findings], details=False))
            hand_on(result, jupyterhub_upgrade_plan=to_dict(plan))
        if state == "resumed":
            hand_on(result, **NOTHING)
            show([f"{task_vars['inventory_hostname']}: {line}" for line in result.get("messages", [])])
        if state == "resumed" and "plan" in result:
            hand_on(
                result,
                jupyterhub_deployment=result["deployment"],
                jupyterhub_upgrade_plan=result["plan"],
                jupyterhub_backup=result["recovery_point"],
            )
        if "run" in result:
            hand_on(result, jupyterhub_run=result["run"])
        return result

    def _act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; of this controller's own runs those that have died are no obstacle."""
        arguments = {**self._task.args, "holder": holder()}
        done = self._execute_module(module_args=arguments, task_vars=task_vars)
        other = done.get("other")
        if other and has_died(other["process"]):
            arguments["take_over"] = other["id"]
            done = self._execute_module(module_args=arguments, task_vars=task_vars)
        return dict(done)

    def _end(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """End the run where one has begun; why that fails comes after the reason, and does not replace it."""
        arguments = self._task.args
        failure = {"task": arguments.get("task", ""), "reason": arguments.get("reason", ""), "restore": ""}
        done: dict[str, Any] = {"changed": False}
        if arguments.get("run"):
            done = self._execute_module(module_args={**arguments, "holder": holder()}, task_vars=task_vars)
        if done.get("failed"):
            failure["restore"] = str(done["msg"])
            show([f"{task_vars['inventory_hostname']}: The restore failed as well: {done['msg']}"], "red")
            done = {"changed": True}
        ended = done.get("outcome", {}).get("ended", "")
        hand_on(done, jupyterhub_failure={**failure, "ended": ended})
        return done
