"""Rehearses, through intermediate versions where one step fails, and completes the plan by that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    IntermediateVersion,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.drift import fingerprint
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import BLOCKER
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import FallbackPath, Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import plans, reviewed_plans, vulnerabilities
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.progress import (
    INSTALL_SECONDS,
    run_with_progress,
)
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

#: Beyond the module's own timeouts: copying and comparing a large database.
MORE_SECONDS = 1800
#: What the tasks of a run have in common, and those that install packages.
SHARED = ("deployment", "run", "state_folder")
INSTALLING = ("installer", "index_url", "constraints", "wheels", "image")


class ActionModule(ActionBase):
    """Runs the module in the background, and others where the plan is to change."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        self._arguments = dict(self._task.args)
        self._plan = from_dict(Plan, self._arguments["plan"])
        try:
            self._reviewed = reviewed_plans.read(self, self._arguments.get("reviewed") or "")
        except HubError as error:
            return {**result, "failed": True, "msg": str(error)}
        self._staged: list[dict[str, Any]] = self._arguments.get("staged") or []
        self._audited = self._audit()
        rehearsal = self._rehearsal()
        result.update(rehearsal)
        if rehearsal.get("failed") or rehearsal.get("skipped"):
            return result
        self._plan = plans.completed(self._plan, self._staged, rehearsal)
        result["plan"] = to_dict(self._plan)
        hand_on(result, jupyterhub_upgrade_plan=result["plan"], jupyterhub_staged=self._staged)
        self._show(rehearsal)
        result["ansible_stats"] = {
            "data": {
                "jupyterhub_plan_fingerprint": {self._vars["inventory_hostname"]: fingerprint(self._plan)}
            },
            "per_host": False,
            "aggregate": True,
        }
        objections = self._objections(rehearsal)
        return {"failed": True, "msg": "\n".join(objections)} if objections else result

    def _audit(self) -> list[dict[str, Any]]:
        """What is known of the staged packages, asked from here."""
        if self._arguments.get("audit") == "never":
            return []
        service = self._arguments.get("audit_url") or vulnerabilities.SERVICE
        return [to_dict(finding) for finding in vulnerabilities.audited(self._staged, service)]

    def _rehearsal(self) -> dict[str, Any]:
        """What the last rehearsal has shown; nothing where there is to be none, or ``{failed, msg}``."""
        if not self._asked("rehearse", True):
            return {"changed": False, "findings": self._audited}
        found = self._rehearse()
        while found.get("fallback_path"):
            path = from_dict(FallbackPath, found["fallback_path"])
            show(["", f"{self._vars['inventory_hostname']}: {_announced(path)}", *found["blockers"]])
            failed = self._take_fallback_path(path)
            if failed:
                blockers = "\n".join(found["blockers"])
                return {"failed": True, "msg": f"{blockers}\nThe fallback path cannot be tried: {failed}"}
            found = self._rehearse()
        return found

    def _rehearse(self) -> dict[str, Any]:
        wanted = (*SHARED, "accept", "fresh_database", "start_timeout", "migration_timeout")
        arguments = {**self._only(wanted), "plan": to_dict(self._plan), "audited": self._audited}
        if self._task.check_mode:
            return self._module("jupyterhub_rehearse", arguments)
        # The hub's start, a server's start and its stop.
        limit = 3 * int(self._arguments.get("start_timeout") or 120)
        limit += int(self._arguments.get("migration_timeout") or 3600) + MORE_SECONDS
        return run_with_progress(self, self._vars, limit, "jupyterhub_rehearse", arguments)

    def _take_fallback_path(self, path: FallbackPath) -> str:
        """Plan and stage the releases in between; why that is not possible, or ''."""
        known = self._plan.intermediate_versions
        self._plan = replace(self._plan, **vars(path))
        if self._arguments.get("run"):
            done = self._module(
                "jupyterhub_run", {**self._only(SHARED), "state": "replanned", "plan": to_dict(self._plan)}
            )
            if done.get("failed"):
                return str(done["msg"])
        if path.intermediate_versions == known:
            return ""
        environments = [to_dict(entry) for entry in self._plan.staged]
        arguments = {**self._only(SHARED + INSTALLING), "state": "staged", "environments": environments}
        staged = run_with_progress(self, self._vars, INSTALL_SECONDS, "jupyterhub_environment", arguments)
        own = {entry.path for entry in self._plan.staged}
        elsewhere = [each for each in self._staged if each["path"] not in own]
        self._staged = [*staged["environments"], *elsewhere] if "environments" in staged else self._staged
        return str(staged["msg"]) if staged.get("failed") else ""

    def _show(self, rehearsal: dict[str, Any]) -> None:
        details = self._asked("details", False)
        lines = ["", plans.verdict(self._plan, self._vars["inventory_hostname"])]
        lines += plans.lines_of(
            [finding for finding in plans.findings_of(rehearsal) if finding.severity != BLOCKER], details
        )
        if self._plan.intermediate_versions and not self._plan.fresh_database:
            versions = _versions(self._plan.intermediate_versions)
            lines.append(f"The migration goes through JupyterHub {versions}.")
        show([*lines, *plans.packages(self._plan, details)])

    def _objections(self, rehearsal: dict[str, Any]) -> list[str]:
        """Reasons to stop."""
        host, file = self._vars["inventory_hostname"], self._arguments.get("reviewed") or ""
        blockers, known = rehearsal.get("blockers") or [], self._arguments.get("fingerprints") or {}
        found = reviewed_plans.objections(self._plan, blockers, self._reviewed, host, file)
        return found or plans.another(known, host, self._plan)

    def _asked(self, name: str, default: bool) -> bool:
        return boolean(self._arguments.get(name, default))

    def _only(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self._arguments[name] for name in names if name in self._arguments}

    def _module(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        full = f"hubops.jupyterhub.{name}"
        return dict(self._execute_module(module_name=full, module_args=arguments, task_vars=self._vars))


def _versions(through: Iterable[IntermediateVersion]) -> str:
    return ", ".join(each.version for each in through)


def _announced(path: FallbackPath) -> str:
    if path.fresh_database:
        return "The migration fails. A fresh database is tried in the place of the old one:"
    versions = _versions(path.intermediate_versions)
    return f"The migration fails in one step. It is tried through JupyterHub {versions}:"
