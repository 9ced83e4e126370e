"""The module as Ansible runs it: its result, and a correct result in check mode."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import REPOSITORY

MODULE = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
from tests.module_arguments import module_arguments

with module_arguments(json.loads(sys.argv[2])):
    name = "ansible_collections.hubops.jupyterhub.plugins.modules.sqlite_backup"
    runpy.run_module(name, run_name="__main__")
"""


def run(*, check: bool = False, **options: object) -> dict[str, Any]:
    """Run the module on this machine; return its result."""
    arguments = json.dumps({**options, "_ansible_check_mode": check})
    command = [sys.executable, "-c", MODULE, str(REPOSITORY), arguments]
    answered = subprocess.run(command, capture_output=True, text=True)
    assert answered.stdout, answered.stderr
    result: dict[str, Any] = json.loads(answered.stdout)
    return result


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "what is 50%?.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('ada')")
    return path


def test_check_mode_says_what_happens_then_and_writes_nothing(source: Path) -> None:
    options: dict[str, Any] = {"src": source.name, "dest": "copy", "directory": str(source.parent)}
    foretold = run(check=True, **options)
    assert os.listdir(source.parent) == [source.name]
    made = run(**options)
    copy = source.parent / "copy"
    assert (foretold["changed"], made["changed"]) == (True, True)
    for key in ("path", "bytes", "rows", "revision"):
        assert foretold[key] == made[key]
    assert (made["path"], made["rows"]) == (str(copy), {"users": 1})
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert run(check=True, **options)["changed"] is False
    assert run(**options)["changed"] is False
    assert run(check=True, force=True, **options)["changed"] is True
    assert run(mode="0640", **options)["changed"] is True
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"src": "hub.sqlite", "dest": "/tmp/copy"}, "hub.sqlite is a relative path. Name the folder"),
        ({"src": "hub.sqlite", "dest": "copy", "directory": "srv"}, "srv is a relative path."),
        ({"src": "/nonexistent.sqlite", "dest": "/tmp/copy"}, "There is no database /nonexistent.sqlite."),
        ({"src": "/x", "dest": "/y", "mode": "rw"}, "rw is not an octal mode."),
        ({"src": "/x", "dest": "/y", "owner": "nobody-of-that-name"}, "There is no such user or group"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], message: str) -> None:
    result = run(**options)
    assert result["failed"] is True
    assert message in result["msg"]
