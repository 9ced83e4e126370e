"""A hub is asked what a person would ask it: its log-in page, a server, and a kernel that computes."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.healthy_hub import database_file
from tests.hubs.real_hub import environment, running_hub


@contextlib.contextmanager
def hub_with_servers(version: str, folder: Path) -> Iterator[Deployment]:
    """A hub whose servers run as its own user and have kernels; user3's are broken, user4 has none."""
    place = environment(version, "jupyter-server", "ipykernel")
    bare = environment(version, "jupyter-server")
    startup = folder / "home-user3/.ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "broken.py").write_text(
        "get_ipython().input_transformers_post.append(lambda _: ['raise ValueError(41)\\n'])\n"
    )
    config = (
        f"c.Spawner.args = {['--allow-root'] if os.geteuid() == 0 else []}\n"
        f"c.SimpleLocalProcessSpawner.home_dir_template = '{folder}/home-{{username}}'\n"
        "def choose(spawner):\n"
        f"    place = {str(bare)!r} if spawner.user.name == 'user4' else {str(place)!r}\n"
        "    spawner.cmd = [place + '/bin/jupyterhub-singleuser']\n"
        "c.Spawner.pre_spawn_hook = choose\n"
    )
    with running_hub(version, folder, config=config) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with hub_with_servers("6.1.1", tmp_path_factory.mktemp("hub")) as deployment:
        yield deployment


def content(deployment: Deployment) -> dict[str, list[str]]:
    """Rows of each table."""
    with contextlib.closing(sqlite3.connect(database_file(deployment))) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(map(str, database.execute(f"SELECT * FROM {table}"))) for table in tables}


def log_of(deployment: Deployment) -> str:
    return database_file(deployment).with_name("hub.log").read_text()


def computes(deployment: Deployment, version: str) -> None:
    """A kernel computes, and of all that was done for it nothing is left but that the user was there."""
    before = content(deployment)
    found = verification.verify(deployment, version=version, user="user1")
    assert found.checks == {
        "login": "passed",
        "server": "passed",
        "kernel": f"passed: 1 + 1 is 2, single-user {version}",
    }
    log = log_of(deployment)
    assert "Kernel started" in log and "Kernel shutdown" in log
    assert re.search(r"User user1 took [\d.]+ seconds to start", log)
    assert re.search(r"User user1 server took [\d.]+ seconds to stop", log)
    after = content(deployment)
    assert {table for table in before if before[table] != after[table]} <= {"users", "spawners"}


def test_a_kernel_computes_over_a_websocket(hub: Deployment) -> None:
    computes(hub, "6.1.1")


def test_a_kernel_of_an_older_hub_does_as_well(tmp_path: Path) -> None:
    with hub_with_servers("4.1.6", tmp_path) as deployment:
        computes(deployment, "4.1.6")


def test_a_kernel_that_does_not_compute_fails_and_its_server_is_stopped(hub: Deployment) -> None:
    said = "The server of user3 was to be started and stopped. The kernel fails: ValueError: 41."
    with pytest.raises(HubError, match=said):
        verification.verify(hub, version="6.1.1", user="user3")
    assert "User user3 server took" in log_of(hub)


def test_a_server_without_kernels_is_none_that_has_lost_them(hub: Deployment) -> None:
    found = verification.verify(hub, version="6.1.1", user="user4")
    assert found.checks["kernel"] == "left out: the server has no kernels"
    had = replace(hub.hub_environment, packages={**hub.hub_environment.packages, "ipykernel": "6.0"})
    lost = replace(hub, hub_environment=had, user_environments=[])
    with pytest.raises(HubError, match="has no kernel, though all single-user environments have ipykernel"):
        verification.verify(lost, version="6.1.1", user="user4")


class _Broken(http.server.BaseHTTPRequestHandler):
    """A proxy's answers where the log-in page fails, and the version does not."""

    def do_GET(self) -> None:
        broken = self.path.endswith("/hub/login")
        self.send_response(500 if broken else 200)
        self.end_headers()
        self.wfile.write(b"No." if broken else json.dumps({"version": "6.1.1"}).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def broken_page() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_log_in_page_that_fails_is_no_working_hub(hub: Deployment, broken_page: str) -> None:
    elsewhere = replace(hub, config=replace(hub.config, public_url=broken_page))
    with pytest.raises(HubError, match=r"The log-in page .*/hub/login is answered with 500 \(No\.\)"):
        verification.verify(elsewhere, version="6.1.1", may_write=False)
    # A site may leave it out.
    without = verification.verify(elsewhere, version="6.1.1", may_write=False, checks=())
    assert without.checks["login"] == "left out: not asked for"
