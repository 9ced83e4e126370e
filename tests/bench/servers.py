"""How long a hub takes to stop all users' servers, and to start them again.

``python -m tests.bench.servers`` prints the figures, and writes ``build/servers.json``. The hub, its proxy
and the requests are real. What it starts is a stand-in: all users have the same server, which takes two
seconds to stop. Some never stop, and are named.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api, running_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.running_servers import RunningServer
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.outage_steps import Settings

from tests.hubs.real_hub import running_hub

RESULT = Path(__file__).resolve().parents[2] / "build" / "servers.json"
VERSION = "4.1.6"
TOKEN = "a-token-of-the-measurement"
#: Users in one request.
AT_ONCE = 200
#: More than are asked to stop at the same time.
NEVER = 120
LIMIT_SECONDS = 3600.0
CONFIG = """
import asyncio, os
from jupyterhub.spawner import Spawner

class StandIn(Spawner):
    is_up = False

    async def start(self):
        self.is_up = True
        return "127.0.0.1", PORT

    async def poll(self):
        return None if self.is_up else 0

    async def stop(self, now=False):
        await asyncio.sleep(2)
        while self.user.name.startswith("never") and not os.path.exists("FOLDER/over"):
            await asyncio.sleep(1)
        self.is_up = False

c.JupyterHub.spawner_class = StandIn
c.JupyterHub.services = [{"name": "measurement", "api_token": "TOKEN"}]
scopes = ["admin:users", "list:users", "servers"]
c.JupyterHub.load_roles = [{"name": "measurement", "services": ["measurement"], "scopes": scopes}]
"""


class _Answers(BaseHTTPRequestHandler):
    """Of all users' servers."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", VERSION)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Users' requests are nobody's business here."""


@contextmanager
def server() -> Iterator[int]:
    """The port at which all users' servers answer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        yield answering.server_port
        answering.shutdown()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what it returned."""
    began = time.monotonic()
    result = work()
    seconds = round(time.monotonic() - began, 1)
    print(f"{seconds} s", flush=True)
    return seconds, result


def add(url: str, prefix: str, count: int) -> list[RunningServer]:
    """The servers, which do not run yet, of so many new users."""
    names = [f"{prefix}{number:04}" for number in range(count)]
    for first in range(0, count, AT_ONCE):
        users = {"usernames": names[first : first + AT_ONCE]}
        answer = api.ask(f"{url}/users", TOKEN, "POST", users, timeout=LIMIT_SECONDS)
        assert answer.status == 201, str(answer)
    return [RunningServer(name, "", f"/user/{name}/") for name in names]


def measure(count: int, limit: float) -> dict[str, Any]:
    """Seconds for so many servers; those that never stop have the ``limit`` in seconds."""
    with tempfile.TemporaryDirectory() as temporary, server() as port:
        config = CONFIG.replace("PORT", str(port)).replace("TOKEN", TOKEN).replace("FOLDER", temporary)
        with running_hub(VERSION, Path(temporary), config=config) as deployment:
            url = deployment.config.hub_api_url
            wanted, never = add(url, "person", count), add(url, "never", NEVER)
            started, missing = timed(lambda: running_servers.start(url, TOKEN, wanted, LIMIT_SECONDS))
            assert not missing, missing
            listed, found = timed(lambda: running_servers.listed(url, TOKEN))
            assert len(found) == count, len(found)
            stopped, left = timed(lambda: running_servers.stop(url, TOKEN, found, LIMIT_SECONDS))
            assert not left, left
            few = wanted[:AT_ONCE]
            assert not running_servers.start(url, TOKEN, [*never, *few], LIMIT_SECONDS)
            bounded, left = timed(lambda: running_servers.stop(url, TOKEN, [*never, *few], limit))
            assert left == never, [each.label for each in left]
            Path(temporary, "over").touch()
    return {
        "servers": count,
        "start_seconds": started,
        "list_seconds": listed,
        "stop_seconds": stopped,
        "with_servers_that_never_stop": NEVER,
        "limit_seconds": limit,
        "then_stop_seconds": bounded,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure once."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.servers", description=__doc__)
    arguments.add_argument("--servers", type=int, default=2000, help="how many (2000)")
    seconds = Settings().servers_timeout
    arguments.add_argument("--limit", type=float, default=seconds, help=f"for stopping all ({seconds})")
    chosen = arguments.parse_args()
    found = measure(chosen.servers, chosen.limit)
    text = json.dumps(found, indent=2)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(f"{text}\n")
    print(text)


if __name__ == "__main__":
    main()
