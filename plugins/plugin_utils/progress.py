"""Runs a module in the background and shows its lines of progress while it works.

A module is silent until it ends, and Ansible's own ``async`` shows only a heartbeat. A module that takes the
argument ``progress_file`` and appends lines to it can be watched with `run_with_progress`, over any
connection, with or without become, on the command line and in AWX alike.
"""

from __future__ import annotations

import shlex
import time
import uuid
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import LAST_LINE
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

SECONDS_BETWEEN_LOOKS = 1.0
#: When the first line is shown, and the next after twice as long again: minutes of work are a few lines.
SECONDS_TO_FIRST_LINE = 20.0
#: How often the job itself is asked, in case it has died without a last word.
LOOKS_BETWEEN_STATUS = 5


def run_with_progress(
    action: ActionBase,
    task_vars: dict[str, Any],
    limit: int,
    module: str = "",
    arguments: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a module in the background for at most ``limit`` seconds; return its result.

    The action's own with its arguments, unless another ``module`` of this collection is named. Its
    ``progress_file`` is set here. The newest of its lines is displayed from time to time, with the host's
    name before it; the one that is `LAST_LINE` says that the result is about to come.
    """
    file = f"{_job_folder(action)}/hubops-{uuid.uuid4().hex}.progress"
    wanted = {**(action._task.args if arguments is None else arguments), "progress_file": file}
    started = _start(action, f"hubops.jupyterhub.{module}" if module else None, wanted, task_vars, limit)
    if "ansible_job_id" not in started:
        return started
    job = started["ansible_job_id"]
    try:
        return _watch(action, job, file, task_vars)
    finally:
        action._low_level_execute_command(f"rm -f {_shell_path(file)}")
        _ask(action, job, "cleanup", task_vars)


def _start(
    action: ActionBase, module: str | None, arguments: dict[str, Any], task_vars: dict[str, Any], limit: int
) -> dict[str, Any]:
    asked = action._task.async_val
    action._task.async_val = limit
    try:
        return dict(
            action._execute_module(
                module_name=module, module_args=arguments, task_vars=task_vars, wrap_async=True
            )
        )
    finally:
        action._task.async_val = asked


def _watch(action: ActionBase, job: str, file: str, task_vars: dict[str, Any]) -> dict[str, Any]:
    began, patience, looks, shown = time.monotonic(), SECONDS_TO_FIRST_LINE, 0, ""
    while True:
        written = action._low_level_execute_command(f"tail -n 1 {_shell_path(file)}")
        line = written["stdout"].rstrip() if written["rc"] == 0 else ""
        if line not in ("", LAST_LINE, shown) and time.monotonic() - began >= patience:
            show([f"{task_vars['inventory_hostname']} | {line}"])
            shown, began, patience = line, time.monotonic(), 2 * patience
        looks += 1
        if line == LAST_LINE or looks % LOOKS_BETWEEN_STATUS == 0:
            status = _ask(action, job, "status", task_vars)
            if status.get("finished", True):
                return _result(status)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _ask(action: ActionBase, job: str, mode: str, task_vars: dict[str, Any]) -> dict[str, Any]:
    arguments = {"jid": job, "mode": mode, "_async_dir": _job_folder(action)}
    return dict(
        action._execute_module(
            module_name="ansible.legacy.async_status", module_args=arguments, task_vars=task_vars
        )
    )


def _job_folder(action: ActionBase) -> str:
    return str(action.get_shell_option("async_dir", default="~/.ansible_async"))


def _result(status: dict[str, Any]) -> dict[str, Any]:
    """The module's own result, without what the background job adds to it."""
    added = ("ansible_job_id", "finished", "started", "results_file", "stdout", "stdout_lines", "stderr")
    return {key: value for key, value in status.items() if key not in added}


def _shell_path(path: str) -> str:
    """A path for the host's shell, which knows whose home ``~`` is."""
    home, slash, rest = path.partition("/")
    return f"{home}{slash}{shlex.quote(rest)}" if home.startswith("~") else shlex.quote(path)
