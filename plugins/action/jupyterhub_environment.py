"""Shows what the module ``jupyterhub_environment`` is doing while it stages; its other states are quick."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import LeftOut
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import read_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on, known
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import (
    INSTALL_SECONDS,
    run_with_progress,
)
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

#: What the tasks of a run have in common.
SHARED = ("deployment", "run", "state_folder")


class ActionModule(ActionBase):
    """Runs the module, in the background where it takes long; what it stages is kept as a fact."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        stages = self._task.args.get("state") == "staged"
        if stages and not self._task.check_mode and not self._task.async_val:
            result.update(run_with_progress(self, task_vars, INSTALL_SECONDS))
        else:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val)))
        if stages and "environments" in result:
            hand_on(result, jupyterhub_staged=[each for each in result["environments"] if not each["fault"]])
            show(
                f"{task_vars['inventory_hostname']}: {each['staged_path']} is built again: {each['replaced']}"
                for each in result["environments"]
                if each["replaced"]
            )
            self._leave_out(result, task_vars)
        return result

    def _leave_out(self, result: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Have the plan and the run go on without what could not be staged."""
        unable = [LeftOut(each["path"], each["fault"]) for each in result["environments"] if each["fault"]]
        plan = read_plan(known(task_vars, "jupyterhub_upgrade_plan"))
        if not unable or plan is None:
            return
        changed = to_dict(plan.without(unable))
        hand_on(result, jupyterhub_upgrade_plan=changed)
        shared = {name: self._task.args[name] for name in SHARED if name in self._task.args}
        if shared.get("run") and not self._task.check_mode:
            done = self._execute_module(
                module_name="hubops.jupyterhub.jupyterhub_run",
                module_args={**shared, "state": "replanned", "plan": changed},
                task_vars=task_vars,
            )
            if done.get("failed"):
                result.update(failed=True, msg=done["msg"])
