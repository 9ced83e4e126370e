"""Single-user servers: one is started through the hub, as a user would do it, and stopped."""

from __future__ import annotations

import time
import urllib.parse
from typing import Any

from ..errors import HubError
from .api import Answer, ask

POLL_SECONDS = 0.1


def start(api_url: str, token: str, user: str, timeout: float) -> None:
    """Have a hub start a user's server, and wait until it finds it ready.

    Raises HubError when the hub refuses, or the server does not come up within ``timeout`` seconds.
    """
    asked = ask(_server(api_url, user), token, "POST")
    if asked.status not in (201, 202):
        raise HubError(f"The hub did not start the server: it answered {asked}.")
    deadline = time.monotonic() + timeout
    while True:
        state, server = look(api_url, token, user)
        if server.get("ready"):
            return
        if state.status == 200 and not server.get("pending"):
            raise HubError("The server ended before it answered.")
        if time.monotonic() > deadline or state.status != 200:
            raise HubError(f"The server was not ready within {timeout:.0f} s.")
        time.sleep(POLL_SECONDS)


def stop(api_url: str, token: str, user: str, timeout: float) -> None:
    """Have a hub stop a user's server. Raises HubError when it does not within ``timeout`` seconds."""
    asked = ask(_server(api_url, user), token, "DELETE")
    deadline = time.monotonic() + timeout
    while asked.status in (202, 204):
        state, server = look(api_url, token, user)
        if state.status == 200 and not server:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    raise HubError(f"The server did not stop within {timeout:.0f} s: the hub answered {asked}.")


def look(api_url: str, token: str, user: str) -> tuple[Answer, dict[str, Any]]:
    """The hub's answer about a user and the user's server, ``{}`` where there is none."""
    state = ask(f"{api_url}/users/{urllib.parse.quote(user)}", token)
    servers = state.body.get("servers") or {} if state.status == 200 else {}
    return state, servers.get("", {})


def _server(api_url: str, user: str) -> str:
    return f"{api_url}/users/{urllib.parse.quote(user)}/server"
