"""Hubs and proxies that listen on a socket of Unix are asked through it. Real hubs."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.verification import verify
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import host
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target

from tests.hubs.planning.test_live_process import external_proxy
from tests.hubs.playbook import run_playbook
from tests.hubs.real_hub import build, running_hub
from tests.vulnerability_service import serving as serving_known

OLD, NEW = "4.1.6", "6.1.1"
CLOSED = {"id": "PYSEC-2099-1", "aliases": ["CVE-2099-1"], "fixed_in": [NEW], "withdrawn": None}
IN_HUB = {("jupyterhub", OLD): [CLOSED]}
#: As a site has it that upgrades past 6.0.
CONFIG = """
import jupyterhub
scheme = "http+unix" if jupyterhub.version_info >= (6,) else "unix+http"
c.JupyterHub.hub_bind_url = scheme + "://{socket}"
c.JupyterHub.hub_connect_url = "http://127.0.0.1:{port}"
"""


class _Forwarder(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with self.server.connect() as other:  # type: ignore[attr-defined]
            there = threading.Thread(target=_pump, args=(self.request, other))
            there.start()
            _pump(other, self.request)
            there.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for data in iter(lambda: source.recv(65536), b""):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class _Port(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(("127.0.0.1", 0), _Forwarder)

    def connect(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.connect(str(self.path))
        return found


class _Socket(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, port: int) -> None:
        self.port = port
        super().__init__(str(path), _Forwarder)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port))


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with server:
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def front(path: Path) -> Iterator[str]:
    """The config of a hub on a socket, with a port that leads there, as sites have one of nginx for that."""
    server = _Port(path)
    with serving(server):
        yield CONFIG.format(socket=quote(str(path), safe=""), port=server.server_address[1])


@pytest.mark.alone
def test_a_hub_on_a_socket_is_upgraded(tmp_path: Path) -> None:
    path, place = tmp_path / "hub.sock", tmp_path / "environment"
    build(place, OLD, "jupyter-server")
    with contextlib.ExitStack() as stack:
        config = stack.enter_context(front(path))
        hub = stack.enter_context(running_hub(OLD, tmp_path, config=config, place=place))
        service = stack.enter_context(serving_known(IN_HUB, every=True))
        assert hub.config.hub_api_url == f"unix+http://{quote(str(path), safe='')}/hub/api"
        variables = {
            "jupyterhub_service": hub.name,
            "jupyterhub_version": NEW,
            "jupyterhub_audit": "auto",
            "jupyterhub_audit_url": service,
            "jupyterhub_backup_after_upgrade": False,
        }
        done = run_playbook("upgrade.yml", tmp_path, variables)
        assert done.returncode == 0, done.stdout
        assert f"JupyterHub {OLD} -> {NEW}, upgraded" in done.stdout
        # The same run shows what else is known of the packages that it installs.
        assert f"packages looked up at {service}. None has a known vulnerability." in done.stdout
        assert "The upgrade closes jupyterhub (CVE-2099-1)." in done.stdout
        [report] = (tmp_path / "state" / hub.name / "runs").glob("*/report.json")
        assert "CVE-2099-1" in json.loads(report.read_text())["audit"]
        assert api.version(f"http+unix://{quote(str(path), safe='')}/hub/api") == NEW


def test_a_socket_that_is_named_from_the_hubs_folder(tmp_path: Path) -> None:
    with front(Path("hub.sock")) as config, running_hub(NEW, tmp_path, config=config) as hub:
        assert hub.config.hub_api_url == f"http+unix://{quote(f'{tmp_path}/hub.sock', safe='')}/hub/api"


def test_a_proxy_on_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    with external_proxy(tmp_path) as (port, config), serving(_Socket(path, port)):
        config += f"c.JupyterHub.bind_url = 'http+unix://{quote(str(path), safe='')}/'\n"
        with running_hub(NEW, tmp_path, config=config) as hub:
            assert hub.proxy.answers
            assert verify(hub, version=NEW).users == 5
            plan = make_plan(
                find_deployment(hub.name), Target(NEW, ">=3.10"), host.look(hub, None, ""), Policy()
            )
            assert not {each.id for each in plan.findings} & {"proxy-elsewhere", "hub-does-not-answer"}
