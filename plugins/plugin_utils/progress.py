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
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show

#: The limit of a module that installs packages: an index that is this slow has failed.
INSTALL_SECONDS = 3600
SECONDS_BETWEEN_LOOKS = 0.5
#: When the first line is shown, and the next after twice as long again: minutes of work are a few lines.
SECONDS_TO_FIRST_LINE = 20.0
#: What Ansible has in the file of a job before it has its result there.
UNFINISHED = '{"started"'


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
    name before it.
    """
    file = f"{_job_folder(action)}/hubops-{uuid.uuid4().hex}.progress"
    wanted = {**(action._task.args if arguments is None else arguments), "progress_file": file}
    started = _start(action, f"hubops.jupyterhub.{module}" if module else None, wanted, task_vars, limit)
    if "ansible_job_id" not in started:
        return started
    job = started["ansible_job_id"]
    progress, result = _shell_path(file), _shell_path(f"{_job_folder(action)}/{job}")
    try:
        _watch(action, progress, result, task_vars["inventory_hostname"])
        return _result(action, job, task_vars)
    finally:
        action._low_level_execute_command(f"rm -f {progress} {result}")


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


def _watch(action: ActionBase, progress: str, result: str, host: str) -> None:
    """Show the newest line of one file until the other one has the job's result."""
    began, patience, shown = time.monotonic(), SECONDS_TO_FIRST_LINE, ""
    # A module costs the host a hundred times what this does.
    command = f'echo "$(tail -n 1 {progress})"; head -c {len(UNFINISHED)} {result}'
    while True:
        looked = action._low_level_execute_command(command)
        line, _newline, begins = looked["stdout"].partition("\n")
        if looked["rc"] != 0 or begins != UNFINISHED:
            return
        if line not in ("", shown) and time.monotonic() - began >= patience:
            show([f"{host} | {line}"])
            shown, began, patience = line, time.monotonic(), 2 * patience
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _job_folder(action: ActionBase) -> str:
    return str(action.get_shell_option("async_dir", default="~/.ansible_async"))


def _result(action: ActionBase, job: str, task_vars: dict[str, Any]) -> dict[str, Any]:
    """The module's own result, without what the background job adds to it."""
    arguments = {"jid": job, "mode": "status", "_async_dir": _job_folder(action)}
    status = action._execute_module(
        module_name="ansible.legacy.async_status", module_args=arguments, task_vars=task_vars
    )
    added = ("ansible_job_id", "finished", "started", "results_file", "stdout", "stdout_lines", "stderr")
    return {key: value for key, value in status.items() if key not in added}


def _shell_path(path: str) -> str:
    """A path for the host's shell, which knows whose home ``~`` is."""
    home, slash, rest = path.partition("/")
    return f"{home}{slash}{shlex.quote(rest)}" if home.startswith("~") else shlex.quote(path)
