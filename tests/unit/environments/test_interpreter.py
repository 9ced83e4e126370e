"""Whether an environment's Python runs, and which one of the host could take its place."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import interpreter
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

HERE = platform.python_version()


def venv(folder: Path, python: str, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to(python)
    (folder / "pyvenv.cfg").write_text(f"version = {version}\n")
    return folder


@pytest.mark.parametrize(
    ("python", "version", "fault"),
    [
        (sys.executable, HERE, ""),
        (sys.executable, f"{HERE.rpartition('.')[0]}.99", ""),
        ("/gone/python3", HERE, "its interpreter /gone/python3 is gone"),
        ("/bin/false", HERE, "its interpreter /usr/bin/false does not run"),
        (
            sys.executable,
            "3.7.3",
            f"its packages are for Python 3.7, and its interpreter is Python {HERE} now",
        ),
    ],
)
def test_the_fault_of_an_environment(tmp_path: Path, python: str, version: str, fault: str) -> None:
    assert interpreter.fault(venv(tmp_path / "env", python, version)) == fault


def fake(folder: Path, name: str, version: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


@pytest.mark.parametrize(
    ("preferred", "specifiers", "chosen"),
    [
        ("3.9.2", "", "python3.9"),
        ("3.8.1", "", "python3"),
        (None, ">=3.8", "python3"),
        ("3.9.2", ">=3.10", "python3"),
        ("3.8.1", ">=3.12", "python3.13"),
    ],
)
def test_the_interpreter_nearest_to_the_old_one_is_chosen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    preferred: str | None,
    specifiers: str,
    chosen: str,
) -> None:
    programs = tmp_path / "bin"
    for name, version in (("python3.9", "3.9.18"), ("python3", "3.11.2"), ("python3.13", "3.13.1")):
        fake(programs, name, version)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert interpreter.choose(preferred, specifiers) == str(programs / chosen)


def test_a_host_without_such_an_interpreter() -> None:
    with pytest.raises(HubError) as refused:
        interpreter.choose("3.11.2", ">=3.99")
    assert str(refused.value) == (
        "The host has no Python >=3.99. Install one, or name it in jupyterhub_python."
    )
