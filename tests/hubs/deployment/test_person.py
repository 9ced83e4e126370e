"""A hub is asked what a person would ask it: its log-in page, a server, and a kernel that computes."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
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


def spawning(version: str, folder: Path, *packages: str) -> str:
    """A config whose servers have these packages, and run as the hub's own user."""
    place = environment(version, *packages)
    arguments = ["--allow-root"] if os.geteuid() == 0 else []
    return (
        f"c.Spawner.cmd = ['{place}/bin/jupyterhub-singleuser']\nc.Spawner.args = {arguments}\n"
        f"c.SimpleLocalProcessSpawner.home_dir_template = '{folder}/home-{{username}}'\n"
    )


def lent(deployment: Deployment) -> int:
    """Rows of what a verification writes, and of what it has a hub write, besides the user's spawner."""
    tables = ("services", "roles", "api_tokens", "oauth_codes", "servers")
    with contextlib.closing(sqlite3.connect(database_file(deployment))) as database:
        return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


@pytest.mark.parametrize("version", ["4.1.6", "6.1.1"])
def test_a_kernel_computes_over_a_websocket_and_nothing_is_left(tmp_path: Path, version: str) -> None:
    config = spawning(version, tmp_path, "jupyter-server", "ipykernel")
    with running_hub(version, tmp_path, config=config) as deployment:
        before = lent(deployment)
        found = verification.verify(deployment, version=version, user="user1")
        assert found.checks == {
            "login": "passed",
            "server": "passed",
            "kernel": f"passed: 1 + 1 is 2, single-user {version}",
        }
        assert lent(deployment) == before
        log = (tmp_path / "hub.log").read_text()
        assert "Kernel started" in log and "Kernel shutdown" in log
        assert "User user1 server took" in log


def test_a_kernel_that_does_not_compute_fails_and_its_server_is_stopped(tmp_path: Path) -> None:
    config = spawning("6.1.1", tmp_path, "jupyter-server", "ipykernel")
    startup = tmp_path / "home-user1/.ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "broken.py").write_text(
        "get_ipython().input_transformers_post.append(lambda _: ['raise ValueError(41)\\n'])\n"
    )
    with running_hub("6.1.1", tmp_path, config=config) as deployment:
        said = "The server of user1 was to be started and stopped. The kernel fails: ValueError: 41."
        with pytest.raises(HubError, match=said):
            verification.verify(deployment, version="6.1.1", user="user1")
        log = (tmp_path / "hub.log").read_text()
        assert "Kernel shutdown" in log and "User user1 server took" in log


def test_a_server_that_has_lost_its_kernels_fails(tmp_path: Path) -> None:
    config = spawning("6.1.1", tmp_path, "jupyter-server")
    with running_hub("6.1.1", tmp_path, config=config) as deployment:
        found = verification.verify(deployment, version="6.1.1", user="user1")
        assert found.checks["kernel"] == "left out: the server has no kernels"
        had = replace(
            deployment.hub_environment, packages={**deployment.hub_environment.packages, "ipykernel": "6"}
        )
        with pytest.raises(HubError, match="has no kernel, though all single-user environments have"):
            verification.verify(
                replace(deployment, hub_environment=had, user_environments=[]), version="6.1.1", user="user1"
            )


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


def test_a_log_in_page_that_fails_is_no_working_hub(tmp_path: Path, broken_page: str) -> None:
    with running_hub("6.1.1", tmp_path) as deployment:
        elsewhere = replace(deployment, config=replace(deployment.config, public_url=broken_page))
        with pytest.raises(HubError, match=r"The log-in page .*/hub/login is answered with 500 \(No\.\)"):
            verification.verify(elsewhere, version="6.1.1")
        # A site may leave it out.
        without = verification.verify(elsewhere, version="6.1.1", checks=())
        assert without.checks["login"] == "left out: not asked for"
