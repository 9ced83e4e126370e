from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.healthy_hub import deployment

ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "upgrade.yml"}


def test_who_tidies_up_for_long_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing staged environments from a busy disk takes longer than the confirm timeout."""
    heard = []

    def remove_much() -> None:
        before = state.heartbeat_file(tmp_path).read_text()
        deadline = time.monotonic() + 10 * journal.SECONDS_BETWEEN_HEARTBEATS
        while state.heartbeat_file(tmp_path).read_text() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        heard.append(state.heartbeat_file(tmp_path).read_text() != before)

    run = journal.begin(tmp_path, ADA, 600, deployment=deployment(), plan=None)
    monkeypatch.setattr(rollback, "_removals", lambda *_: [remove_much])
    assert rollback.roll_back(tmp_path, "hand", "", run.id)["ended"] == "unchanged"
    assert heard == [True]
