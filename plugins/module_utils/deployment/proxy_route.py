"""The routes of a hub's proxy: that of the hub leads to a page while the hub is away."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..hub import api
from ..services.kinds import service_of
from ..system.processes import process_of, processes
from .model import Deployment

#: The setting that names the file by which the next hub finds a proxy that this one has left running.
PID_FILE = "c.ConfigurableHTTPProxy.pid_file"
TOKEN = "CONFIGPROXY_AUTH_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANSWER_SECONDS = 2
#: Routes that are set at the same time, as the hub does it.
_AT_ONCE = 10


@dataclass(frozen=True)
class Table:
    """The routes of a proxy, by their paths, as its own API has them."""

    url: str
    token: str
    routes: dict[str, dict[str, Any]]

    @property
    def hub(self) -> str | None:
        """The path that leads to the hub."""
        return next((path for path, route in self.routes.items() if route.get("hub")), None)

    def set(self, path: str, route: dict[str, Any]) -> bool:
        """Have the proxy take a route; whether it has."""
        address = f"{self.url}{urllib.parse.quote(path)}"
        return api.ask(address, self.token, "POST", route, timeout=_ANSWER_SECONDS).status in (200, 201)

    def add(self, routes: dict[str, dict[str, Any]]) -> bool:
        """Have the proxy take those of the ``routes`` that it has not; whether it has."""
        missing = {path: route for path, route in routes.items() if path not in self.routes}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return all(list(pool.map(self.set, missing.keys(), missing.values())))


def pid_of(deployment: Deployment) -> int | None:
    """The proxy that the hub has started and the next one would find; None where there is none."""
    file = deployment.config.written.get(PID_FILE)
    with contextlib.suppress(OSError, ValueError):
        pid = int(Path(file).read_text()) if file else 0
        return pid if pid and os.path.exists(f"/proc/{pid}") else None
    return None


def found_next(deployment: Deployment) -> int | None:
    """`pid_of`, where that is a proxy with the hub's address and no other process that has its number now."""
    pid = pid_of(deployment)
    process = process_of(pid) if pid else None
    port = str(urllib.parse.urlsplit(deployment.proxy.api_url).port)
    return process.pid if process and _is_proxy(process.argv, port) else None


def lead_to(deployment: Deployment, address: str) -> bool:
    """Have the proxy answer for the hub from an ``address`` on this host, until a hub sets its route again.

    Returns False where that cannot be done: another kind of proxy, on another host, with another token.
    """
    table = read(deployment)
    hub = table.hub if table else None
    return bool(table and hub and table.set(hub, {**table.routes[hub], "target": address}))


def read(deployment: Deployment) -> Table | None:
    """The routes of the hub's proxy; None where its API does not give them to this host."""
    url = deployment.proxy.api_url.rstrip("/")
    if urllib.parse.urlsplit(url).hostname not in _LOOPBACK:
        return None
    for token in _tokens(deployment):
        answer = api.ask(f"{url}/api/routes", token, timeout=_ANSWER_SECONDS)
        if answer.status == 200 and isinstance(answer.body, dict):
            return Table(f"{url}/api/routes", token, answer.body)
    return None


def _tokens(deployment: Deployment) -> Iterator[str]:
    """Tokens that the proxy may take: those that the hub and proxies of this host with its address have."""
    hub = None
    with contextlib.suppress(HubError):
        hub = service_of(deployment.service).hub_process()
    port = str(urllib.parse.urlsplit(deployment.proxy.api_url).port)
    proxies = [process for process in processes() if _is_proxy(process.argv, port)]
    for process in (*proxies, *([hub] if hub else [])):
        with contextlib.suppress(OSError):
            token = process.environment().get(TOKEN)
            if token:
                yield token


def _is_proxy(argv: list[str], port: str) -> bool:
    """Whether a command line starts a proxy whose own address has this port."""
    name = any(os.path.basename(word).startswith("configurable-http-proxy") for word in argv[:3])
    return name and any(word.rpartition("=")[2] == port for word in argv)
