"""Every role says what it takes, and takes what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import REPOSITORY

ROLES = sorted(path for path in (REPOSITORY / "roles").iterdir() if path.is_dir())


def options(role: Path) -> set[str]:
    """Names of the variables that any of the role's entry points takes."""
    specs: dict[str, Any] = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name for spec in specs.values() for name in spec.get("options", {})}


def test_there_are_roles() -> None:
    assert len(ROLES) >= 9


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_argument_specs_name_the_same_variables(role: Path) -> None:
    assert set(yaml.safe_load((role / "defaults/main.yml").read_text())) == options(role)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_name_of_their_role(role: Path) -> None:
    assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_entry_point_has_its_tasks_and_the_other_way_round(role: Path) -> None:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    assert {file.stem for file in (role / "tasks").glob("*.yml")} == set(specs)


def test_the_readmes_have_the_variables_as_the_argument_specs_do() -> None:
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "tools/role_tables", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
