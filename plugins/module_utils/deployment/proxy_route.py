"""The route of a hub in its proxy, which leads to a page while the hub is away."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..hub import api
from ..services.kinds import service_of
from ..system.processes import processes
from .model import Deployment

#: The setting that names the file by which the next hub finds a proxy that this one has left running.
PID_FILE = "c.ConfigurableHTTPProxy.pid_file"
TOKEN = "CONFIGPROXY_AUTH_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANSWER_SECONDS = 2


def pid_of(deployment: Deployment) -> int | None:
    """The proxy that the hub has started and the next one would find; None where there is none."""
    file = deployment.config.written.get(PID_FILE)
    with contextlib.suppress(OSError, ValueError):
        pid = int(Path(file).read_text()) if file else 0
        return pid if pid and os.path.exists(f"/proc/{pid}") else None
    return None


def lead_to(deployment: Deployment, address: str) -> bool:
    """Have the proxy answer for the hub from an ``address`` on this host, until a hub sets its route again.

    Returns False where that cannot be done: another kind of proxy, on another host, with another token.
    """
    url = deployment.proxy.api_url.rstrip("/")
    if urllib.parse.urlsplit(url).hostname not in _LOOPBACK:
        return False
    for token in _tokens(deployment):
        answer = api.ask(f"{url}/api/routes", token, timeout=_ANSWER_SECONDS)
        routes: dict[str, Any] = answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
        for path, route in routes.items():
            if route.get("hub"):
                changed = {**route, "target": address}
                asked = api.ask(f"{url}/api/routes{path}", token, "POST", changed, timeout=_ANSWER_SECONDS)
                return asked.status in (200, 201)
    return False


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
