"""Waits for the outage, which the host carries out whether anybody waits or not, and shows what takes long.

The module is run again and again, each time for a while: a background job of Ansible's would never end on a
host that was rebooted meanwhile.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

#: After so long a line is shown, and the next one after twice as long.
SECONDS_TO_FIRST_LINE = 20.0
#: An idle connection is not kept open for longer: something between the machines may forget it.
LONGEST_WAIT = 60


class ActionModule(ActionBase):
    """Runs the module until the outage is over."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        began, patience = time.monotonic(), SECONDS_TO_FIRST_LINE
        while True:
            arguments = {**self._task.args, "wait": int(min(patience, LONGEST_WAIT))}
            found = self._execute_module(module_args=arguments, task_vars=task_vars)
            if found.get("verified", True) or found.get("failed"):
                result.update(found)
                return result
            seconds = time.monotonic() - began
            if seconds >= patience:
                show([f"{task_vars['inventory_hostname']} | {found['doing']} ({seconds:.0f} s)"])
                patience *= 2
