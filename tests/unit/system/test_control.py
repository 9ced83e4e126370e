"""Who can put something else at a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.control import ANYBODY, controllers

from tests import people

ADA, BOB = 12345, 12346


@pytest.fixture
def place() -> Iterator[Path]:
    people.require_root()
    with people.place_for_all() as folder:
        yield folder


def folder(path: Path, owner: int, mode: int = 0o755) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path


def test_the_folders_on_the_way_count(place: Path) -> None:
    opt, home = folder(place / "opt", 0), folder(place / "ada", ADA)
    assert controllers(folder(opt / "root's", 0)) == set()
    assert controllers(folder(opt / "ada's", ADA)) == {ADA}
    assert controllers(folder(home / "env", ADA)) == {ADA}
    assert controllers(folder(home / "root's", 0)) == {ADA}
    assert controllers(folder(home / "bob's", BOB)) == {ADA, BOB}
    assert controllers(home / "not there") == {ADA}


def test_a_folder_that_a_group_may_write_is_roots(place: Path) -> None:
    assert controllers(folder(folder(place / "srv", 0, 0o2775) / "env", 0)) == set()


def test_a_folder_that_all_may_write_is_anybodys(place: Path) -> None:
    assert controllers(folder(folder(place / "open", 0, 0o777) / "env", 0)) == {ANYBODY}
    assert controllers(folder(folder(place / "tmp", 0, 0o1777) / "env", 0)) == set()
    assert controllers(folder(place / "tmp" / "ada's", ADA)) == {ADA}


def test_whoever_can_lead_a_link_elsewhere_counts(place: Path) -> None:
    home = folder(place / "ada", ADA)
    env, hers = folder(place / "env", 0), folder(home / "env", ADA)
    (home / "link").symlink_to(env)
    (place / "link").symlink_to(hers)
    (home / "up").symlink_to("../env")
    assert controllers(home / "link") == controllers(home / "up") == {ADA}
    assert controllers(place / "link") == {ADA}
    tmp = folder(place / "tmp", 0, 0o1777)
    (tmp / "link").symlink_to(env)
    assert controllers(tmp / "link") == set()
    os.chown(tmp / "link", BOB, BOB, follow_symlinks=False)
    assert controllers(tmp / "link") == {BOB}
    (home / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        controllers(home / "loop")
