"""Every role declares the variables that it takes, and takes those that it declares."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments

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


RESULT = re.compile(r"\bhub_[a-z_]+_result\b")
FILES = sorted(
    path
    for folder in ("roles", "playbooks")
    for path in (REPOSITORY / folder).rglob("*.yml")
    if path.is_file()
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_no_role_or_playbook_reads_what_another_role_has_registered(file: Path) -> None:
    """Roles pass data on as facts, and the record has the phases of a run."""
    parts = file.relative_to(REPOSITORY).parts
    own = f"{parts[1]}_" if parts[0] == "roles" else "\0"
    assert [name for name in RESULT.findall(file.read_text()) if not name.startswith(own)] == []


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "playbooks").rglob("*.yml")), ids=lambda file: file.name
)
def test_a_playbook_is_read_at_a_glance(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 60


def action_groups() -> dict[str, list[str]]:
    groups = yaml.safe_load((REPOSITORY / "meta/runtime.yml").read_text())["action_groups"]
    return dict(groups)


def test_the_action_group_has_every_module() -> None:
    assert action_groups()["jupyterhub"] == sorted(
        path.stem for path in (REPOSITORY / "plugins/modules").glob("*.py")
    )


def test_the_group_of_a_run_has_the_modules_that_take_what_a_play_wires_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ansible hands a group's defaults to each of its modules, and those refuse what they do not know."""
    wired = {"deployment", "run", "state_folder"}
    specs: list[dict[str, Any]] = []
    monkeypatch.setattr(arguments, "run", lambda spec, _action, **_options: specs.append(spec))
    names = action_groups()["jupyterhub"]
    for name in names:
        importlib.import_module(f"ansible_collections.hubops.jupyterhub.plugins.modules.{name}").main()
    taking = [name for name, spec in zip(names, specs) if wired <= set(spec)]
    assert action_groups()["run"] == taking


def test_the_readmes_have_the_variables_as_the_argument_specs_do() -> None:
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "tools/role_tables", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
