from __future__ import annotations

from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import guard_program
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import guard
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state


def test_the_guards_program_is_on_the_disk_before_it_is_counted_on(tmp_path: Path, synced: set[int]) -> None:
    guard.write_program(tmp_path, guard_program)
    program = list(state.guard_folder(tmp_path).rglob("*"))
    assert len(program) > 20
    assert not [path.name for path in program if path.stat().st_ino not in synced]
