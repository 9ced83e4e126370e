"""While the hub is away its address answers, and says for how long. A real hub behind an external proxy."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.announcement import announcement_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import running_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests.hubs.real_hub import build, free_ports, running_hub
from tests.hubs.recovery.staged_hub import NEW, OLD, Hub
from tests.hubs.recovery.watching import INTERVAL_SECONDS, watching

TOKEN = "a-token-of-the-proxy"
CONFIG = f"""
c.JupyterHub.bind_url = "http://127.0.0.1:{{port}}/"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{{api_port}}"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = "{TOKEN}"
"""


@contextmanager
def external_proxy(place: Path, port: int, api_port: int, log: IO[bytes] | None = None) -> Iterator[None]:
    argv = [f"{place}/bin/configurable-http-proxy", "--ip", "127.0.0.1", "--port", str(port)]
    argv += ["--api-ip", "127.0.0.1", "--api-port", str(api_port)]
    with subprocess.Popen(argv, env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": TOKEN}, stderr=log) as proxy:
        try:
            deadline = time.monotonic() + 60
            while api.ask(f"http://127.0.0.1:{api_port}/api/routes", TOKEN).status != 200:
                assert proxy.poll() is None and time.monotonic() < deadline, "The proxy does not start."
                time.sleep(INTERVAL_SECONDS)
            yield
        finally:
            # Asked to end it would wait for whoever is still connected.
            proxy.kill()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    place, (port, api_port) = tmp_path / "environment", free_ports(2)
    build(place, OLD)
    config = CONFIG.format(port=port, api_port=api_port)
    with external_proxy(place, port, api_port), running_hub(
        OLD, tmp_path, place=place, config=config
    ) as found:
        yield Hub(found, tmp_path)


def test_no_connection_is_refused_and_a_page_says_how_long(hub: Hub) -> None:
    announcement = announcement_of(find_deployment(hub.name))
    announcement.install()
    announcement.show("Saturday")
    run_id = hub.arm(running_servers=running_servers.KEEP, expected_outage_seconds=300.0)
    address = urllib.parse.urlsplit(hub.now().deployment.config.public_url)
    assert address.port
    with watching(address.port, "/hub/login", "/hub/api/") as samples:
        run = hub.conduct(run_id)
    assert (run.phase, hub.version()) == (journal.VERIFIED, NEW)
    assert [sample for sample in samples if not sample.status] == []
    assert {sample.status for sample in samples} == {200, 503}
    held = [sample for sample in samples if sample.headers.get("Retry-After")]
    pages, answers = ([each for each in held if each.path == path] for path in ("/hub/login", "/hub/api/"))
    assert "JupyterHub is being upgraded" in pages[0].body
    assert 250 < int(pages[0].headers["Retry-After"]) <= 300
    assert f"about {pages[0].headers['Retry-After']} more seconds" in pages[0].body
    assert answers[0].headers["Content-Type"] == "application/json"
    away = [sample for sample in samples if sample.status == 503]
    assert held == away, "the proxy's own error was seen"
    assert announcement.shown() == f"In progress: upgrade of JupyterHub to {NEW}."
    rollback.accept(hub.folder, run_id)
    assert announcement.shown() == ""
