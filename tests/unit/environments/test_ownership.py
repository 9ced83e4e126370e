"""What was made for an environment becomes its owner's; nothing of others does, whatever is in its way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import ownership
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests import people

ADA = 12345


@pytest.fixture(autouse=True)
def _as_root() -> None:
    people.require_root()


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


def owned(root: Path) -> set[str]:
    """What is Ada's, by its path in the environment."""
    return {str(path.relative_to(root)) for path in [root, *root.rglob("*")] if path.lstat().st_uid == ADA}


def each_time(monkeypatch: pytest.MonkeyPatch, seen: Callable[[str], None]) -> None:
    """Call ``seen`` with the path of what has just been given to its owner, by its open file."""
    give = os.fchown

    def fchown(file: int, uid: int, gid: int) -> None:
        path = os.readlink(f"/proc/self/fd/{file}")
        give(file, uid, gid)
        seen(path)

    monkeypatch.setattr(os, "fchown", fchown)


def test_a_folder_is_handed_over_after_what_is_in_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(path: str) -> None:
        below = [each for each in Path(path).rglob("*") if not Path(path).is_file()]
        assert {each.lstat().st_uid for each in below} <= {ADA}

    each_time(monkeypatch, seen)
    ownership.own_tree(root, owner())
    assert owned(root) == {".", "a", "a/one", "b", "b/two", "link"}


def test_what_was_there_before_keeps_its_owner(root: Path) -> None:
    ownership.own_tree(root, owner(), {"a/one", "b"})
    assert owned(root) == {".", "a/one", "b"}


def test_a_folder_that_becomes_a_link_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped: list[str] = []

    def swap(path: str) -> None:
        if not swapped:
            swapped.append(path)
            other = root / ("b" if "/a/" in path else "a")
            other.rename(tmp_path / "away")
            other.symlink_to(tmp_path / "others")

    each_time(monkeypatch, swap)
    with pytest.raises(HubError, match="something in it was replaced meanwhile"):
        ownership.own_tree(root, owner(), {"a/one", "b/two", "a", "b"})
    assert owned(tmp_path / "others") == owned(tmp_path / "away") == set()


def test_a_root_that_is_a_link_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="something in it was replaced meanwhile"):
        ownership.own_tree(root / "link", owner())
    assert owned(tmp_path / "others") == owned(root) == set()


def test_a_file_of_another_by_a_second_name_stays_theirs(root: Path, tmp_path: Path) -> None:
    os.link(tmp_path / "others/two", root / "b/shadow")
    ownership.own_tree(root, owner())
    assert owned(tmp_path / "others") == set()
    assert owned(root) == {".", "a", "a/one", "b", "b/two", "link"}
