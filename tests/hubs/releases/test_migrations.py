"""Migrations as alembic writes them today, read back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.migrations import (
    heads,
    history,
    read_revisions,
)

from tests.hubs.real_hub import environment


def alembic(package: Path, *arguments: str) -> None:
    program = environment("6.1.1") / "bin" / "alembic"
    subprocess.run([program, *arguments], cwd=package, check=True, capture_output=True)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with two branches of migrations that are merged, made by the alembic of today's hub."""
    alembic(tmp_path, "init", "alembic")
    alembic(tmp_path, "revision", "--rev-id", "aaa1", "-m", "the first")
    alembic(tmp_path, "revision", "--rev-id", "bbb2", "-m", "one branch")
    alembic(tmp_path, "revision", "--rev-id", "ccc3", "-m", "another", "--head", "aaa1", "--splice")
    return tmp_path


def test_revisions_with_annotations_are_read(package: Path) -> None:
    texts = [file.read_text() for file in (package / "alembic" / "versions").glob("*.py")]
    assert all(re.search(r"^revision: str = ", text, re.MULTILINE) for text in texts)
    assert all(re.search(r"^down_revision: Union\[str, .*None\] = ", text, re.MULTILINE) for text in texts)
    known = read_revisions(package)
    assert known == {"aaa1": (), "bbb2": ("aaa1",), "ccc3": ("aaa1",)}
    assert heads(known) == {"bbb2", "ccc3"}


def test_branches_that_are_merged_have_one_head(package: Path) -> None:
    alembic(package, "merge", "--rev-id", "ddd4", "-m", "together", "bbb2", "ccc3")
    known = read_revisions(package)
    assert heads(known) == {"ddd4"}
    assert history(known, "ddd4") - history(known, "bbb2") == {"ddd4", "ccc3"}
    assert history(known, None) == set()


@pytest.mark.parametrize(
    ("lines", "follows"),
    [
        ("revision = 'b'\ndown_revision = 'a'\n", ("a",)),
        ('revision = "b"\ndown_revision = None\n', ()),
        ('revision: str = "b"\ndown_revision: Union[str, None] = "a"\n', ("a",)),
        (
            'revision: str = "b"\ndown_revision: str | Sequence[str] | None = (\n    "a",\n    "c",\n)\n',
            ("a", "c"),
        ),
        ("# revision = 'x'\nrevision='b'\nbranch_labels = ('x',)\ndepends_on = 'y'\n", ()),
    ],
)
def test_every_form_of_a_migration(tmp_path: Path, lines: str, follows: tuple[str, ...]) -> None:
    versions = tmp_path / "alembic" / "versions"
    versions.mkdir(parents=True)
    (versions / "b_.py").write_text(f'"""A step.\n\nRevision ID: b\nRevises: a\n"""\n{lines}')
    assert read_revisions(tmp_path) == {"b": follows}
