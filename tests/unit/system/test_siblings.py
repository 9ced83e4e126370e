"""What root does in its folder for the owner of an environment there: four changes of names, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.siblings import Family

from tests import people


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    (tmp_path / "env").mkdir()
    (tmp_path / "other").mkdir()
    family = Family(tmp_path / "env", (os.getuid(), os.getgid()))
    yield family
    family.close()


def test_another_ones_whose_name_begins_alike_stays(tmp_path: Path) -> None:
    people.require_root()
    for name, owner in (("env", 12345), ("env.of-bob", 12346)):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, owner, owner)
    family = Family(tmp_path / "env", (12345, 12345))
    for what, changed in (("remove", ("env.of-bob",)), ("exchange", ("env", "env.of-bob"))):
        with pytest.raises(PermissionError):
            family.change(what, *changed)
    family.close()
    assert [(tmp_path / name).stat().st_uid for name in names(tmp_path)] == [12345, 12346]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folders_beside_an_environment(family: Family, tmp_path: Path) -> None:
    family.change("make", "env.staged-2")
    (tmp_path / "env.staged-2" / "new").touch()
    assert family.change("exchange", "env", "env.staged-2")
    assert names(tmp_path / "env") == ["new"]
    family.change("rename", "env.staged-2", "env.before-1")
    family.change("remove", "env.before-1")
    (tmp_path / "env.link").symlink_to("other")
    family.change("remove", "env.link")
    assert names(tmp_path) == ["env", "other"]


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("rename", ("other", "env.staged-2")),
        ("rename", ("env", "environment")),
        ("exchange", ("env", "../etc")),
        ("remove", ("env./../other",)),
        ("remove", ("other",)),
        ("make", ("new",)),
        ("chown", ("env",)),
        ("_make", ("env.new",)),
    ],
)
def test_nothing_else_is_done(family: Family, tmp_path: Path, what: str, changed: tuple[str, ...]) -> None:
    with pytest.raises(PermissionError):
        family.change(what, *changed)
    assert names(tmp_path) == ["env", "other"]


def test_what_is_in_a_folder_is_its_owners_to_remove(family: Family, tmp_path: Path) -> None:
    (tmp_path / "env" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        family.change("remove", "env")
