"""Waits for the outage, which the host carries out whether anybody waits or not, and shows what it does.

The module begins it and returns. Then the run's record is looked at, for that takes a hundredth of what a
module takes of the host whose hub is starting. A background job of Ansible's would never end on a host that
was rebooted meanwhile.
"""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import outage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

SECONDS_BETWEEN_LOOKS = 0.5
#: After so long a line is shown, and the next one after twice as long.
SECONDS_TO_FIRST_LINE = 1.0
#: After so long the module looks whether anybody still works.
LONGEST_WATCH = 60.0


class ActionModule(ActionBase):
    """Runs the module until the outage is over."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        self._began, self._patience = time.monotonic(), SECONDS_TO_FIRST_LINE
        while True:
            found = self._execute_module(module_args={**self._task.args, "wait": 0}, task_vars=task_vars)
            if not found.get("failed") and not found.get("verified", True):
                found["verified"] = self._watch(found.pop("record"), task_vars["inventory_hostname"])
            if found.get("verified", True) or found.get("failed"):
                result.update(found)
                return result

    def _watch(self, record: str, host: str) -> bool:
        """Show what the host does, by the record of the run; whether the new hub is verified.

        Returns as well when the run has ended otherwise, cannot be read, or after a while.
        """
        # Of the record, which has the plan and more in it, the two lines that change.
        command = f"""grep -E '^  "(phase|doing)": ' {shlex.quote(record)}"""
        until = time.monotonic() + LONGEST_WATCH
        while time.monotonic() < until:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            looked = self._low_level_execute_command(command)
            lines = [line.rstrip(",") for line in looked["stdout"].splitlines()]
            stands = json.loads(f"{{{','.join(lines)}}}") if looked["rc"] == 0 else {}
            if stands.get("phase") not in (journal.ARMED, journal.OUTAGE, journal.RESTORING):
                return stands.get("phase") == journal.VERIFIED
            seconds = time.monotonic() - self._began
            if seconds >= self._patience:
                show([f"{host} | {outage.message(stands['phase'], stands['doing'])} ({seconds:.0f} s)"])
                # On a busy machine a look may take longer than that.
                while self._patience <= seconds:
                    self._patience *= 2
        return False
