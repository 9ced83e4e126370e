"""What one task hands on to the next: facts of the host, which no skipped task takes away."""

from __future__ import annotations

from typing import Any

#: What is known of a hub before anything was asked.
NOTHING: dict[str, Any] = {
    "jupyterhub_run": {"id": "", "continues": ""},
    "jupyterhub_deployment": {},
    "jupyterhub_singleuser_hosts": [],
    "jupyterhub_singleuser_ended": [],
    "jupyterhub_upgrade_plan": {},
    "jupyterhub_staged": [],
    "jupyterhub_backup": "",
    "jupyterhub_rollback": {},
    "jupyterhub_phases": [],
    "jupyterhub_failure": {},
}


def known(task_vars: dict[str, Any], name: str) -> Any:
    """A fact that an earlier task has handed on, or `NOTHING`'s."""
    return task_vars.get("ansible_facts", {}).get(name, NOTHING.get(name))


def hand_on(result: dict[str, Any], **facts: Any) -> None:
    """Have the tasks that follow know something."""
    result["ansible_facts"] = {**result.get("ansible_facts", {}), **facts}


def with_phase(task_vars: dict[str, Any], name: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The phases up to now, for the record that a run begins with."""
    phase = {"name": name, "seconds": result.get("seconds", 0.0), "failed": bool(result.get("failed"))}
    return [*known(task_vars, "jupyterhub_phases"), phase]
