"""Progress of a module that works in the background: a shell looks at its files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import progress

LINES = ("", "Staging jupyterhub==6.1.1", "Staging jupyterhub==6.1.1", "Copied: 2 of 3")


class Action:
    """A job that comes to its next line before every look, and to its result after the last one."""

    def __init__(self, folder: Path) -> None:
        self.progress, self.result = folder / "progress", folder / "1.2"
        self.result.write_text(json.dumps({"started": True, "finished": False, "ansible_job_id": "1.2"}))
        self._lines: Iterator[str] = iter(LINES)
        self._tell = Progress(str(self.progress))

    def _low_level_execute_command(self, command: str) -> dict[str, Any]:
        line = next(self._lines, None)
        if line:
            self._tell(line)
        elif line is None:
            self.result.write_text(json.dumps({"changed": True}))
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout}


def shown(monkeypatch: pytest.MonkeyPatch, action: Action, first: float) -> list[str]:
    """What is displayed until the job has its result, where the first line is due after so many seconds."""
    displayed: list[str] = []
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(progress, "SECONDS_TO_FIRST_LINE", first)
    monkeypatch.setattr(progress, "show", displayed.extend)
    progress._watch(action, str(action.progress), str(action.result), "hub")
    assert "changed" in json.loads(action.result.read_text())
    return displayed


def test_each_line_of_slow_work_is_shown_once_with_its_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = ["hub | Staging jupyterhub==6.1.1", "hub | Copied: 2 of 3"]
    assert shown(monkeypatch, Action(tmp_path), 0) == wanted


def test_a_job_without_a_file_is_not_waited_for(tmp_path: Path) -> None:
    action = Action(tmp_path)
    action.result.unlink()
    progress._watch(action, str(action.progress), str(action.result), "hub")


def test_quick_work_is_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert shown(monkeypatch, Action(tmp_path), 3600) == []
