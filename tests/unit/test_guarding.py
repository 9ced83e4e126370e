from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils import guarding, state


def test_the_guards_program_is_on_the_disk_before_it_is_counted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut empties what was not synced, and the guard is what starts then."""
    synced = set()
    fsync = os.fsync

    def remember(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", remember)
    guarding.write_program(tmp_path)
    program = list(state.guard_folder(tmp_path).rglob("*"))
    assert len(program) > 20
    assert not [path.name for path in program if path.stat().st_ino not in synced]
