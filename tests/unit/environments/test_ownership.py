"""What was made for an environment becomes its owner's; nothing of others does, whatever is in its way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import ownership
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

ADA = 12345


class AsRoot:
    """What root would have done, on any account: the owners that were set, by what the files are called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.before: Any = None
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "fchown", self._fchown)
        monkeypatch.setattr(os, "chown", self._chown)

    def _fchown(self, file: int, uid: int, gid: int) -> None:
        self._done(os.readlink(f"/proc/self/fd/{file}"), uid)

    def _chown(self, path: str, uid: int, gid: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        self._done(f"{os.readlink(f'/proc/self/fd/{dir_fd}')}/{path}", uid)

    def _done(self, path: str, uid: int) -> None:
        assert uid == ADA
        self.done.append(path)
        if self.before:
            self.before(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A new environment in a user's folder, and beside it what is none of that user's."""
    made = tmp_path / "ada/venv.staged"
    (made / "a").mkdir(parents=True)
    (made / "b").mkdir()
    for place in ("a/one", "b/two"):
        (made / place).write_text("new")
    (made / "link").symlink_to(tmp_path / "others")
    (tmp_path / "others").mkdir()
    (tmp_path / "others/two").write_text("of others")
    return made


def owner() -> os.stat_result:
    return os.stat_result((0, 0, 0, 0, ADA, ADA, 0, 0, 0, 0))


def test_a_folder_is_handed_over_after_what_is_in_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = AsRoot(monkeypatch).done
    ownership.own_tree(root, owner())
    assert sorted(done) == sorted([str(root), *map(str, root.rglob("*"))])
    for path in map(Path, done):
        assert not any(str(parent) in done[: done.index(str(path))] for parent in path.parents)


def test_what_was_there_before_keeps_its_owner(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = AsRoot(monkeypatch).done
    ownership.own_tree(root, owner(), {"a/one", "b"})
    assert sorted(done) == [str(root), f"{root}/a/one", f"{root}/b"]


def test_a_folder_that_becomes_a_link_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_root = AsRoot(monkeypatch)

    def swap(path: str) -> None:
        as_root.before = None
        other = root / ("b" if "/a/" in path else "a")
        other.rename(tmp_path / "away")
        other.symlink_to(tmp_path / "others")

    as_root.before = swap
    with pytest.raises(HubError, match="something in it was replaced meanwhile"):
        ownership.own_tree(root, owner(), {"a/one", "b/two", "a", "b"})
    assert not [path for path in as_root.done if "others" in path or "away" in path]


def test_a_root_that_is_a_link_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = AsRoot(monkeypatch).done
    with pytest.raises(HubError, match="something in it was replaced meanwhile"):
        ownership.own_tree(root / "link", owner())
    assert done == []


def test_a_file_of_another_by_a_second_name_stays_theirs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = AsRoot(monkeypatch).done
    os.link(tmp_path / "others/two", root / "b/shadow")
    ownership.own_tree(root, owner())
    assert not [path for path in done if "shadow" in path or "others/two" in path]
    assert f"{root}/b/two" in done
