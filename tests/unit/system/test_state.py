from __future__ import annotations

from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state


def test_new_folders_are_private_and_on_the_disk(tmp_path: Path, synced: set[int]) -> None:
    state.make_private(tmp_path / "hubops" / "jupyterhub")
    for folder in (tmp_path / "hubops", tmp_path / "hubops" / "jupyterhub"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent.stat().st_ino in synced
