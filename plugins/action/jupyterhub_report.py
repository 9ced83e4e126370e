"""Shows the report that the module ``jupyterhub_report`` composes, and hands it on."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report import lines
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report_files import contents
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import fleets
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.controller import holder
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.pages import files
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Runs the module; writes the report on the controller where it is asked for."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = {**self._task.args, "holder": holder()}
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if "report" not in result:
            return result
        report, host, file = result["report"], task_vars["inventory_hostname"], self._task.args.get("fetch")
        show(["", *lines(report, host, result.get("path", ""))])
        hand_on(result, jupyterhub_report=report)
        result["ansible_stats"] = {
            "data": {"jupyterhub_report": {host: report}},
            "per_host": False,
            "aggregate": True,
        }
        if file and not self._task.check_mode:
            for path, content in files(file, contents(report)).items():
                path.write_text(content, encoding="utf-8")
        if self._task.args.get("fleet") and not self._task.check_mode:
            fleets.add(self._task.args["fleet"], host, report)
        return result
