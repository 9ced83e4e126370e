"""Many servers of users: listed page by page, stopped in bounded time, and asked on their routes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import running_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.running_servers import RunningServer

MANY = 2000
#: It never stops.
STUBBORN = "user-1234"
#: More than are asked at the same time; they stop once the others have.
SLOW = [f"user-{number}" for number in range(200)]
OTHERS = {f"user-{number}" for number in range(200, 220)}


class ManyServers(BaseHTTPRequestHandler):
    """A hub with more servers than anybody has here, which answers by the page as hubs from 2.0 on do."""

    stopped: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/hub/api/users":
            asked = {name: int(values[0]) for name, values in parse_qs(url.query).items() if name != "state"}
            offset, limit = asked["offset"], min(asked["limit"], 200)
            users = [
                {"name": f"user-{number}", "servers": {"": {"ready": True, "url": f"/user/user-{number}/"}}}
                for number in range(offset, min(offset + limit, MANY))
            ]
            following = {"offset": offset + limit, "limit": limit} if offset + limit < MANY else None
            self.answer(200, {"items": users, "_pagination": {"next": following}})
        elif url.path == "/user/alive/api":
            self.answer(200, {"version": "2.14.0"})
        elif url.path == "/user/private/api":
            self.answer(302, {}, "/hub/api/oauth2/authorize?client_id=service-rstudio")
        else:
            self.answer(302, {}, f"/hub{url.path}")

    def do_DELETE(self) -> None:
        name = self.path.split("/")[4]
        self.stopped.add(name)
        is_waiting = name in SLOW and not self.stopped >= OTHERS
        self.answer(202 if is_waiting or name == STUBBORN else 204, {})

    def answer(self, status: int, body: object, location: str = "") -> None:
        text = json.dumps(body).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing is read of it."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ManyServers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_all_pages_are_read(address: str) -> None:
    found = running_servers.listed(f"{address}/hub/api", "token")
    assert [server.label for server in found] == [f"user-{number}" for number in range(MANY)]


def test_all_are_stopped_but_one_that_is_named(address: str) -> None:
    servers = [RunningServer(f"user-{number}", "", "") for number in range(1225, 1240)]
    remaining = running_servers.stop(f"{address}/hub/api", "token", servers, 5)
    assert [server.label for server in remaining] == [STUBBORN]


def test_many_that_are_slow_keep_no_other_from_being_stopped(address: str) -> None:
    servers = [RunningServer(name, "", "") for name in [*SLOW, *sorted(OTHERS)]]
    assert running_servers.stop(f"{address}/hub/api", "token", servers, 120) == []


def test_a_server_answers_on_its_route_or_the_hub_does(address: str) -> None:
    servers = [RunningServer(name, "", f"/user/{name}/") for name in ("alive", "private", "gone")]
    unanswered = running_servers.unanswered(address, servers, 0)
    assert list(unanswered) == ["gone"]
    assert re.match("302", unanswered["gone"])


@pytest.mark.parametrize(
    ("minutes", "is_idle"),
    [(59, False), (61, True)],
)
def test_idle_is_what_nobody_has_used_for_so_long(minutes: int, is_idle: bool) -> None:
    used = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f+00:00"):
        assert RunningServer("ada", "gpu", "/user/ada/gpu/", used.strftime(form)).is_idle(3600) == is_idle
    assert not RunningServer("ada", "", "/user/ada/").is_idle(0), "nothing is known of it"
