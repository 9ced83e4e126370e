"""Another host of single-user servers without its controller: its environments follow the hub."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    PlannedEnvironment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import (
    environment_id,
    write_marker,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import guard
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.singleuser_hosts import (
    exchange,
    guard_program,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.singleuser_hosts.record import Record, read

from tests import REPOSITORY
from tests.plans import planned_environment

OLD, NEW, POINT = "4.1.6", "6.1.1", "20261120T211500Z-4.1.6-6.1.1"


class HubStandIn:
    """Answers as the API of a hub does, with a version that the test sets; without one it is away.

    One that ``leaves`` is away after its first answer.
    """

    def __init__(self, version: str) -> None:
        self.version, self.url, self.leaves = version, "", False
        self.asked = threading.Event()


@contextlib.contextmanager
def hub_of(version: str, address: str = "127.0.0.1") -> Iterator[HubStandIn]:
    hub = HubStandIn(version)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = hub.version
            if hub.leaves:
                hub.version, hub.leaves = "", False
            self.send_response(200 if version else 503)
            self.end_headers()
            self.wfile.write(json.dumps({"version": version}).encode() if version else b"{}")
            hub.asked.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    hub.url = f"http://{address}:{server.server_port}/hub/api"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def staged(folder: Path) -> PlannedEnvironment:
    """An environment with its new one beside it; what is in them is of no account to an exchange."""
    place = folder / "jupyter"
    venv.create(place, symlinks=True)
    (place / "which").write_text("old")
    return stage(place, NEW, "new")


def stage(place: Path, version: str, name: str) -> PlannedEnvironment:
    """The new environment beside the one that is there."""
    entry = planned_environment(place, version, role="user", jupyterhub=OLD)
    shutil.copytree(place, entry.staged_path, symlinks=True)
    Path(entry.staged_path, "which").write_text(name)
    marker = {
        "id": name,
        "replaces": environment_id(place),
        "request": "",
        "path": str(place),
        "staged_path": entry.staged_path,
        "complete": True,
        "warnings": [],
    }
    write_marker(Path(entry.staged_path), marker)
    return entry


def record(hub: HubStandIn, *environments: PlannedEnvironment, patience: float = 600) -> Record:
    return Record("hub", POINT, OLD, NEW, (hub.url,), patience, environments)


def which(entry: PlannedEnvironment) -> str:
    return Path(entry.path, "which").read_text()


def wait_for(folder: Path, phase: str) -> None:
    """Until the guard has come to this phase, and has removed itself."""
    deadline = time.monotonic() + 300
    while (folder / "guard").exists() or (read(folder) or pytest.fail("no record")).phase != phase:
        assert time.monotonic() < deadline, (read(folder), guard.output(folder, "", "log"))
        time.sleep(0.1)


@pytest.mark.parametrize(("ends_as", "phase", "has"), [(OLD, "restored", "old"), (NEW, "kept", "new")])
def test_the_guard_waits_for_the_hub_and_follows_it(
    tmp_path: Path, ends_as: str, phase: str, has: str
) -> None:
    entry, folder = staged(tmp_path), tmp_path / "state"
    with hub_of(OLD) as hub:
        hub.leaves = True
        assert exchange.switch(folder, record(hub, entry, patience=1), guard_program)["reaches_hub"]
        assert (which(entry), guard.is_active(folder)) == ("new", True)
        for _ in range(2):  # It asks, and asks again, while the hub is away.
            hub.asked.clear()
            assert hub.asked.wait(120)
            assert which(entry) == "new"
        hub.version = ends_as
        wait_for(folder, phase)
    assert which(entry) == has


def test_a_host_that_never_reached_the_hub_restores_the_old_environments(tmp_path: Path) -> None:
    entry, folder = staged(tmp_path), tmp_path / "state"
    with hub_of("") as hub:
        assert not exchange.switch(folder, record(hub, entry, patience=0), guard_program)["reaches_hub"]
        wait_for(folder, "restored")
    assert which(entry) == "old"


def test_the_next_run_settles_what_was_cut_off(tmp_path: Path) -> None:
    entry, folder = staged(tmp_path), tmp_path / "state"
    with hub_of(OLD) as hub:
        exchange.switch(folder, record(hub, entry), guard_program)
        with pytest.raises(HubError, match="An earlier upgrade of this host, of .*, has not ended"):
            other = Record("hub", "another", OLD, NEW, (hub.url,), 600, (entry,))
            exchange.switch(folder, other, guard_program)
        hub.version = ""
        with pytest.raises(HubError, match="has not ended, and the hub does not answer http://127"):
            exchange.settle(folder)
        assert which(entry) == "new"
        hub.version = OLD
        assert exchange.settle(folder) == {"changed": True, "phase": "restored"}
        assert exchange.settle(folder) == {"changed": False, "phase": "restored"}
    assert (which(entry), guard.is_active(folder)) == ("old", False)


def test_one_upgrade_back_is_kept_and_can_be_restored_later(tmp_path: Path) -> None:
    entry, folder = staged(tmp_path), tmp_path / "state"
    with hub_of(OLD) as hub:
        exchange.switch(folder, record(hub, entry), guard_program)
        hub.version = NEW
        assert exchange.keep(folder, POINT) == {"changed": True, "phase": "kept"}
        assert exchange.keep(folder, POINT)["changed"] is False
    assert exchange.restore(folder, "another") == {"changed": False, "phase": ""}
    assert exchange.restore(folder, POINT) == {"changed": True, "phase": "restored"}
    assert (which(entry), Path(entry.staged_path).exists()) == ("old", False)
    with pytest.raises(HubError, match="The old environments are in place"):
        exchange.keep(folder, POINT)


def test_the_upgrade_before_can_be_undone_until_another_one_is_kept(tmp_path: Path) -> None:
    entry, folder = staged(tmp_path), tmp_path / "state"
    aside, later = Path(f"{entry.path}.before-{POINT}"), "20261121T211500Z-6.1.1-6.2.0"
    with hub_of(OLD) as hub:
        exchange.switch(folder, record(hub, entry), guard_program)
        exchange.keep(folder, POINT)
        for ends in ("restored", "kept"):
            newer = stage(Path(entry.path), "6.2.0", "newer")
            wanted = Record("hub", later, NEW, "6.2.0", (hub.url,), 600, (newer,))
            exchange.switch(folder, wanted, guard_program)
            assert (which(entry), aside.exists()) == ("newer", True)
            if ends == "restored":
                exchange.restore(folder, later)
                found = read(folder)
                assert found and (found.recovery_point, found.phase) == (POINT, "kept")
            else:
                exchange.keep(folder, later)
    assert (which(entry), aside.exists()) == ("newer", False)
    assert exchange.restore(folder, POINT) == {"changed": False, "phase": ""}
    assert exchange.restore(folder, later)["changed"]
    assert which(entry) == "new"


def test_what_is_not_staged_is_not_exchanged_and_leaves_no_guard(tmp_path: Path) -> None:
    entry, folder = staged(tmp_path), tmp_path / "state"
    shutil.rmtree(entry.staged_path)
    with hub_of(OLD) as hub, pytest.raises(HubError, match="is not staged"):
        exchange.switch(folder, record(hub, entry), guard_program)
    assert (which(entry), guard.is_active(folder)) == ("old", False)


#: What a controller does before the outage, and then no more.
SWITCH = """
- hosts: hubs
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        jupyterhub_deployment: "{{ known.jupyterhub_deployment }}"
        jupyterhub_upgrade_plan: "{{ known.jupyterhub_upgrade_plan }}"
        jupyterhub_backup: "{{ known.jupyterhub_backup }}"
        cacheable: true
    - ansible.builtin.import_role:
        name: hubops.jupyterhub.hub_singleuser
        tasks_from: switch.yml
"""


def test_a_host_asks_the_hub_on_the_hubs_own_machine(tmp_path: Path) -> None:
    """Hub and host are two addresses here; in its config the hub has the one that only itself reaches."""
    entry, folder = staged(tmp_path), tmp_path / "state/singleuser"
    with hub_of(NEW, "127.0.0.2") as hub:
        port = hub.url.split(":")[2].split("/")[0]
        loopback = f"http://127.0.0.1:{port}"
        facts = {
            "jupyterhub_deployment": {
                "config": {"hub_api_url": f"{loopback}/hub/api", "public_url": f"{loopback}/"}
            },
            "jupyterhub_upgrade_plan": {
                "from_version": OLD,
                "to_version": NEW,
                "running_servers": "keep",
                "singleuser_hosts": [{"host": "node", "environments": [to_dict(entry)]}],
            },
            "jupyterhub_backup": f"/recovery/{POINT}",
        }
        usual = {
            "ansible_connection": "ansible.builtin.local",
            "ansible_python_interpreter": sys.executable,
            "jupyterhub_confirm_timeout": 1,
        }
        node = {"ansible_host": "127.0.0.3", "jupyterhub_state_folder": str(tmp_path / "state")}
        inventory = {
            "hubs": {"hosts": {"hub": {"ansible_host": "127.0.0.2", "known": facts}}},
            "jupyterhub_singleuser": {"hosts": {"node": node}},
            "all": {"vars": usual},
        }
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        (tmp_path / "switch.yml").write_text(SWITCH)
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("--inventory", str(tmp_path / "inventory.json"), str(tmp_path / "switch.yml")),
            ],
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        found = read(folder)
        assert found and found.reaches_hub, found
        assert found.hub_urls[0] == hub.url
        # The controller is gone; the guard finds the new hub.
        wait_for(folder, "kept")
    assert which(entry) == "new"
