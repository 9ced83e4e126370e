"""A proxy is replaced by another one: no request for a server that runs on is lost. Real proxies, no hub."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import proxy_route
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.proxy_handover import handing_over
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api, hold_page
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.firewall import waiting_connections
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.listening import is_listening

from tests import healthy_hub
from tests.hubs.real_hub import environment, free_ports
from tests.hubs.recovery.watching import refused, watching

PATIENCE = 60
LOOK = 0.02


@contextmanager
def answering(port: int, text: str) -> Iterator[str]:
    """A server that answers everything with a text, as a user's server or a hub; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def start_proxy(port: int, api_port: int, token: str) -> subprocess.Popen[bytes]:
    argv = [f"{environment('6.1.1')}/bin/configurable-http-proxy", "--ip", "127.0.0.1", "--port", str(port)]
    argv += ["--api-ip=127.0.0.1", f"--api-port={api_port}"]
    return subprocess.Popen(argv, env={**os.environ, proxy_route.TOKEN: token}, stderr=subprocess.DEVNULL)


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(LOOK)
    return found


def routes(deployment: Deployment) -> dict[str, str]:
    """The targets of its proxy's routes."""
    table = proxy_route.read(deployment)
    return {path: str(route["target"]) for path, route in table.routes.items()} if table else {}


BEFORE_THE_PROXY, AFTER_IT, AT_THE_END = "before the proxy", "after it", "at the end"


@pytest.mark.parametrize("hub_comes", [BEFORE_THE_PROXY, AFTER_IT, AT_THE_END])
def test_no_request_is_answered_by_a_proxy_without_routes(hub_comes: str) -> None:
    port, api_port, hub_port = free_ports(3)
    deployment = healthy_hub.deployment(
        config__hub_api_url=f"http://127.0.0.1:{hub_port}/hub/api",
        proxy__api_url=f"http://127.0.0.1:{api_port}",
    )
    hub = f"http://127.0.0.1:{hub_port}"
    with ExitStack() as stack:
        adas = stack.enter_context(answering(0, "ada's server"))
        old = stack.enter_context(start_proxy(port, api_port, "the old one's token"))
        stack.callback(old.kill)
        table = wait_until(lambda: proxy_route.read(deployment))
        assert table.set("/", {"target": hub, "hub": True})
        assert table.set("/user/ada", {"target": adas, "user": "ada", "server_name": ""})
        waiting = stack.enter_context(waiting_connections(port))
        assert waiting, "nftables are missing, or the right to use them: tools/firewall"
        page = stack.enter_context(hold_page.serving(60))
        with handing_over(deployment, port, page, waiting):
            assert proxy_route.lead_to(deployment, page)
            with watching(port, "/user/ada/api", "/hub/login") as samples:
                wait_until(lambda: {sample.status for sample in samples} == {200, 503})
                old.kill()
                old.wait()
                if hub_comes == BEFORE_THE_PROXY:
                    stack.enter_context(answering(hub_port, json.dumps({"version": "6.1.1"})))
                new = stack.enter_context(start_proxy(port, api_port, "the new one's token"))
                stack.callback(new.kill)
                # Whoever comes first, before anybody could have given it a route.
                while not is_listening(port):
                    assert new.poll() is None
                first = api.ask(f"http://127.0.0.1:{port}/user/ada/api", timeout=PATIENCE)
                assert (first.status, first.body) == (200, "ada's server")
                first_target = hub if hub_comes == BEFORE_THE_PROXY else page
                wait_until(lambda: routes(deployment) == {"/": first_target, "/user/ada": adas})
                if hub_comes != BEFORE_THE_PROXY:
                    seen = len(samples)
                    wait_until(lambda: {sample.status for sample in samples[seen:]} == {200, 503})
                    # The hub that comes sets its route, or has set it before it was led to the page.
                    stack.enter_context(answering(hub_port, json.dumps({"version": "6.1.1"})))
                if hub_comes == AFTER_IT:
                    wait_until(lambda: routes(deployment)["/"] == hub)
                    wait_until(lambda: samples[-1].path == "/hub/login" and samples[-1].status == 200)
        assert routes(deployment)["/"] == hub
    assert refused(samples) == []
    of_ada = {sample.status for sample in samples if sample.path == "/user/ada/api"}
    of_the_hub = {sample.status for sample in samples if sample.path == "/hub/login"}
    # A request that was under way when the old proxy ended has broken.
    assert of_ada - {0} == {200}
    assert {503} <= of_the_hub <= {0, 200, 503}
    assert all(sample.headers.get("Retry-After") for sample in samples if sample.status == 503)
