from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import guard_program
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import guard
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state


def test_the_guards_program_is_on_the_disk_before_it_is_counted_on(tmp_path: Path, synced: set[int]) -> None:
    guard.write_program(tmp_path, guard_program)
    program = list(state.guard_folder(tmp_path).rglob("*"))
    assert len(program) > 20
    assert not [path.name for path in program if path.stat().st_ino not in synced]


def test_the_guards_program_needs_no_ansible(tmp_path: Path) -> None:
    """It is written by a module, which has Ansible's part of the collection loaded."""
    assert arguments.__name__ in sys.modules
    guard.write_program(tmp_path, guard_program)
    command = [sys.executable, "-I", "-S", str(state.guard_folder(tmp_path))]
    asked = subprocess.run(command, capture_output=True, text=True)
    assert (asked.returncode, "usage: " in asked.stdout + asked.stderr) == (2, True), asked.stderr
