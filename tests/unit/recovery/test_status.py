from __future__ import annotations

from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import status
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.unit.runs.test_journal import begin


def test_a_host_where_nothing_was_run(tmp_path: Path) -> None:
    assert status.of_host(str(tmp_path)) == []


def test_a_run_that_is_under_way_and_a_hub_that_is_held_down(tmp_path: Path) -> None:
    folder = tmp_path / "jupyterhub"
    run = begin(folder)
    state.hold_file(folder).write_text("upgrade to JupyterHub 6.1.1\n")
    (tmp_path / "second").mkdir()
    first, second = status.of_host(str(tmp_path))
    assert (first.name, first.held, first.guarded, first.outage) == (
        "jupyterhub",
        "upgrade to JupyterHub 6.1.1",
        False,
        False,
    )
    assert first.run.startswith(f"Run {run.name}, begun ")
    assert status.lines(first)[0] == "Held down: upgrade to JupyterHub 6.1.1"
    assert status.lines(second) == ["No run is known.", "0 recovery points."]
    assert status.of_host(str(tmp_path), "second.service") == [second]


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "jupyterhub"
    folder.mkdir()
    state.run_file(folder).write_text("{")
    [found] = status.of_host(str(tmp_path))
    assert str(state.run_file(folder)) in found.run
