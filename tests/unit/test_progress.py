"""Progress of a module that works in the background; its host is a mock that answers in a fixed order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import LAST_LINE, Progress
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import progress


class Action:
    """Runs a job that has written one more of its lines at every look."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines: Iterator[str] = itertools.chain(lines, itertools.repeat(lines[-1]))
        self._last = lines[-1]

    def get_shell_option(self, _name: str, default: str) -> str:
        return default

    def _low_level_execute_command(self, _command: str) -> dict[str, Any]:
        line = next(self._lines)
        self._ended = line == self._last
        return {"rc": 0, "stdout": f"{line}\n"}

    def _execute_module(self, **_call: Any) -> dict[str, Any]:
        return {"finished": self._ended, "ansible_job_id": "1.2", "changed": True}


def shown(monkeypatch: pytest.MonkeyPatch, lines: Sequence[str], first: float) -> tuple[list[str], Any]:
    """What is displayed of these lines, where the first is due after so many seconds, and the result."""
    displayed: list[str] = []
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(progress, "SECONDS_TO_FIRST_LINE", first)
    monkeypatch.setattr(progress, "show", displayed.extend)
    result = progress._watch(Action(lines), "1.2", "~/job.progress", {"inventory_hostname": "hub"})
    return displayed, result


LINES = ("", "Staging jupyterhub==6.1.1", "Staging jupyterhub==6.1.1", "Copied: 2 of 3", LAST_LINE)


def test_each_line_of_slow_work_is_shown_once_with_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed, result = shown(monkeypatch, LINES, 0)
    assert displayed == ["hub | Staging jupyterhub==6.1.1", "hub | Copied: 2 of 3"]
    assert result == {"changed": True}


def test_quick_work_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, LINES, 3600) == ([], {"changed": True})


def test_a_job_that_died_without_a_last_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed, result = shown(monkeypatch, ("Copied: 2 of 3",), 0)
    assert displayed == ["hub | Copied: 2 of 3"]
    assert result == {"changed": True}


def test_who_waits_is_told_of_an_end_also_when_the_work_fails(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    with pytest.raises(RuntimeError), Progress(str(file)) as tell:
        tell("Staging jupyterhub==6.1.1")
        raise RuntimeError
    assert file.read_text().splitlines() == ["Staging jupyterhub==6.1.1", LAST_LINE]
