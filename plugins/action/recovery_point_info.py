"""Shows what a rollback would change and lose, and refuses a loss that is not accepted."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import (
    NOTHING,
    ROLLBACK,
    outline,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on, known
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

REFUSAL = (
    "To roll back anyway, set jupyterhub_accept_loss: true. "
    "The present hub is kept in a second recovery point."
)


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if "chosen" not in result:
            return result
        accepted = boolean(self._task.args.get("accept_loss", False))
        refused = result["comparison"]["lost"] and not accepted
        messages = [*result["messages"], *([REFUSAL] if refused else [])]
        if refused and not self._task.check_mode:
            return {"failed": True, "msg": "\n".join(messages)}
        host, *more = messages
        show([f"{task_vars['inventory_hostname']}: {host}", *more])
        chosen = result["chosen"]
        environment = known(task_vars, "jupyterhub_deployment").get("hub_environment", {})
        action = NOTHING if result["comparison"]["equal"] else ROLLBACK
        plan = outline(action, environment.get("jupyterhub") or "", chosen["from_version"])
        hand_on(result, jupyterhub_rollback=chosen, jupyterhub_upgrade_plan=to_dict(plan))
        return result
