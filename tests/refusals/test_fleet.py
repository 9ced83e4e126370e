"""Two hubs in one run: what becomes of one is nothing to the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point

from tests.testbed import Hub, staged

from .refusal import TARGET

DROP_IN = "/etc/systemd/system/jupyterhub.service.d/slow.conf"
#: Stopping waits until the test allows it.
SLOW = """[Service]
ExecStop=/bin/sh -c 'while ! [ -e /run/may-stop ]; do sleep 0.1; done; kill -TERM $MAINPID'
"""


@pytest.fixture
def slow_hub() -> Iterator[Hub]:
    with staged.start() as hub:
        hub.exec(["mkdir", "-p", str(Path(DROP_IN).parent)])
        hub.write(DROP_IN, SLOW)
        hub.exec(["systemctl", "daemon-reload"])
        yield hub


def test_no_hub_stays_down_because_another_one_does_and_a_fleet_is_done_once(
    fresh_hub: Hub, slow_hub: Hub, tmp_path: Path
) -> None:
    hub = fresh_hub
    staged.lay_out(hub)
    wanted = {
        "jupyterhub_version": TARGET,
        "jupyterhub_stop_timeout": 600,
        "jupyterhub_rehearse": False,
        "jupyterhub_backup_fetch": str(tmp_path / "copies"),
        "jupyterhub_canaries": [hub.container, slow_hub.container],
        "jupyterhub_fleet_report": str(tmp_path / "fleet.json"),
    }
    with ThreadPoolExecutor() as pool:
        run = pool.submit(hub.playbook, "fleet.yml", wanted, beside=(slow_hub,))
        try:
            hub.wait_until_answers(TARGET, timeout=300)
            assert slow_hub.version() in (slow_hub.layout.version, None)
        finally:
            slow_hub.exec(["touch", "/run/may-stop"])
        finished = run.result()
    assert finished.report["outcome"] == "upgraded"
    slow_hub.wait_until_answers(TARGET)

    for each in (hub, slow_hub):
        copy, first_backup = sorted((tmp_path / "copies" / each.container).iterdir())
        assert recovery_point.verify(first_backup).from_version == TARGET
        kept = recovery_point.verify(copy).database
        assert kept.sealed, "the copy has the database of before the last backup"
        assert [path.name for path in copy.glob("*.sqlite")] == [kept.file]

    rows = json.loads((tmp_path / "fleet.json").read_text())["hubs"]
    assert [row["outcome"] for row in rows] == ["upgraded", "upgraded"]
    assert all(row["downtime_seconds"] > 0 for row in rows)
    again = hub.playbook("fleet.yml", wanted, beside=(slow_hub,))
    assert "2 hubs: 2 upgraded" in again.stdout and "hub_facts" not in again.stdout
    assert json.loads((tmp_path / "fleet.json").read_text())["hubs"][0]["outcome"] == "upgraded"
