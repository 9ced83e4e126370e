"""Runs a module of the collection as Ansible runs it on a host: packed, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import REPOSITORY


def run_module(name: str, options: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """What the module returns on this machine, with ``failed`` always in it."""
    argv = [
        *(str(Path(sys.executable).parent / "ansible"), "localhost", "--inventory", "localhost,"),
        *("--connection", "local", "--module-name", f"hubops.jupyterhub.{name}"),
        *(["--args", json.dumps(options)] if options else []),
        *("--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable})),
        *(["--check"] if check else []),
    ]
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(Path.home()),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    _head, brace, body = done.stdout.partition(" => {")
    assert brace, done.stdout
    result: dict[str, Any] = json.loads("{" + body)
    result["failed"] = done.returncode != 0
    return result
