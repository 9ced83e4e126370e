"""Copies a recovery point to the controller, over any connection, with or without become."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.recovery_point import verify

MANIFEST = "manifest.json"


def fetch(action: ActionBase, task_vars: dict[str, Any], path: str, folder: str) -> str:
    """Have ``<folder>/<host>/<id>`` on the controller be what a recovery point is, open to its owner alone.

    Returns that path. Raises AnsibleActionFail when the copy is not what its checksums say.
    """
    point = Path(path)
    copy = Path(folder).expanduser() / task_vars["inventory_hostname"] / point.name
    files = _files(action, task_vars, point)
    before = os.umask(0o077)
    try:
        # Without its manifest a copy that was cut off is not taken for a recovery point.
        for file in sorted(files, key=lambda each: each.name == MANIFEST):
            _fetch_file(action, task_vars, point / file, copy / file)
    finally:
        os.umask(before)
    for file in copy.rglob("*"):
        if not file.is_dir() and file.relative_to(copy) not in files:
            file.unlink()
    try:
        verify(copy)
    except HubError as error:
        raise AnsibleActionFail(str(error)) from error
    return str(copy)


def _files(action: ActionBase, task_vars: dict[str, Any], point: Path) -> list[Path]:
    wanted = {"paths": str(point), "file_type": "file", "recurse": True, "hidden": True}
    found = action._execute_module("ansible.legacy.find", module_args=wanted, task_vars=task_vars)
    if found.get("failed"):
        raise AnsibleActionFail(str(found.get("msg")))
    return [Path(each["path"]).relative_to(point) for each in found["files"]]


def _fetch_file(action: ActionBase, task_vars: dict[str, Any], source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    task = action._task.copy()
    task.args = {"src": str(source), "dest": str(target), "flat": True, "fail_on_missing": True}
    ansibles = action._shared_loader_obj.action_loader.get(
        "ansible.legacy.fetch",
        task=task,
        connection=action._connection,
        play_context=action._play_context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=action._shared_loader_obj,
    )
    done = ansibles.run(task_vars=task_vars)
    if done.get("failed"):
        raise AnsibleActionFail(f"{source} could not be copied to {target}: {done.get('msg')}")
    target.chmod(0o600)
