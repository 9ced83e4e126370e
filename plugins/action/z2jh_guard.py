"""Shows how the guard of a Helm release restores it, and hands on whose run it is."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

#: What a restore takes beside waiting for the guard.
MORE_SECONDS = 300
CONCLUSIONS = {
    "": "Nothing was changed.",
    "accepted": "The new release had been accepted, and stays.",
    "healed": "The revision that a killed Helm had left pending was ended; what runs was not changed.",
}


class ActionModule(ActionBase):
    """Runs the module, in the background where it waits for a restore."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._task.args.get("state") == "restored" and not self._task.check_mode:
            limit = int(self._task.args.get("timeout") or 900) + MORE_SECONDS
            result.update(run_with_progress(self, task_vars, limit))
        else:
            result.update(self._execute_module(task_vars=task_vars))
        if "run" in result:
            hand_on(result, z2jh_run=result["run"])
        if "outcome" in result:
            conclusion = conclusion_of(result)
            hand_on(result, z2jh_conclusion=conclusion)
            if result["outcome"]:
                show([f"{task_vars['inventory_hostname']} | {conclusion}"])
        elif result.get("failed"):
            hand_on(result, z2jh_conclusion=str(result.get("msg", "")))
        return result


def conclusion_of(result: dict[str, Any]) -> str:
    """How it ended, as a sentence."""
    if result["outcome"] in CONCLUSIONS:
        return CONCLUSIONS[result["outcome"]]
    used = (result.get("database") or {}).get("used", "")
    database = f", with {used}" if used else ""
    stopped = ", ".join(result.get("stopped") or [])
    servers = f" Servers that it does not know, since they were started later, were stopped: {stopped}."
    return (
        f"The old release serves again, as of the recovery point {result['recovery_point']}{database}."
        f"{servers if stopped else ''}"
    )
