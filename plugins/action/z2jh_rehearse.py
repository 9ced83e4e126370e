"""Shows what a rehearsal in the cluster does, and what it has found."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import BLOCKER
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import report
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import run_with_progress
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

#: What a rehearsal takes beside the parts that have a limit: its copy of the database.
MORE_SECONDS = 2400


class ActionModule(ActionBase):
    """Runs the module in the background."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, **self._execute_module(task_vars=task_vars)}
        arguments = self._task.args
        limit = 2 * int(arguments.get("timeout") or 600) + int(arguments.get("migration_timeout") or 3600)
        result.update(run_with_progress(self, task_vars, limit + MORE_SECONDS))
        if "findings" in result:
            hand_on(result, z2jh_digests=result["digests"])
            findings = plans.findings_of(result)
            line = report.rehearsed(findings, result["version"], result["timings"])
            # The blockers are what the run ends with.
            rest = [finding for finding in findings if finding.severity != BLOCKER]
            show(["", f"{task_vars['inventory_hostname']} | {line}", *plans.lines_of(rest, details=False)])
        return result
