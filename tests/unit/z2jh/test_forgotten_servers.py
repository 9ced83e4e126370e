"""Which servers are stopped after the hub's database was put back: none but those that the hub denies."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import known_tokens_program as program
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.forgotten_servers import (
    TOKEN,
    started_since,
)

BEFORE, SINCE, AFTER = "2026-11-30T12:00:00Z", "2026-11-30T12:49:38Z", "2026-11-30T13:00:00Z"


def pod(created: str = AFTER, **metadata: Any) -> dict[str, Any]:
    annotations = {"hub.jupyter.org/username": "ada", "hub.jupyter.org/servername": "work"}
    usual = {"name": "jupyter-ada", "uid": "1", "creationTimestamp": created, "annotations": annotations}
    container = {"name": "notebook", "env": [{"name": "LANG", "value": "C"}, {"name": TOKEN, "value": "t"}]}
    return {"metadata": {**usual, **metadata}, "spec": {"containers": [{"name": "sidecar"}, container]}}


def without_token() -> dict[str, Any]:
    elsewhere = {"name": TOKEN, "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}}
    return {**pod(), "spec": {"containers": [{"name": "notebook", "env": [elsewhere]}]}}


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (pod(), True),
        (pod(labels={"release": "hub"}), True),
        # It is older than the recovery point, so that the old hub knows it.
        (pod(BEFORE), False),
        (pod(SINCE), False),
        # Another hub's in the same namespace.
        (pod(labels={"release": "other"}), False),
        (pod(labels={"app.kubernetes.io/instance": "other"}), False),
        (pod(deletionTimestamp=AFTER), False),
        (without_token(), False),
    ],
)
def test_the_hub_is_asked_for_servers_that_were_started_since(found: dict[str, Any], asked: bool) -> None:
    pods = started_since([found], SINCE, "hub")
    assert [(each.name, each.person, each.token) for each in pods] == (
        [("jupyter-ada", "ada/work", "t")] if asked else []
    )


@pytest.fixture
def hub() -> Iterator[str]:
    """A hub that knows one token, below a base URL, and breaks at another one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            codes = {"token known": 200, "token breaks": 500}
            code = codes.get(self.headers["Authorization"], 403) if self.path == "/at/hub/api/user" else 404
            self.send_response(code)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_hub_that_does_not_say_denies_nothing(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["known", "unknown", "breaks"]
    monkeypatch.setattr(program, "HUB", hub)
    assert program.answer({"base_url": "/at/", "tokens": tokens}) == [True, False, None]
    assert program.answer({"base_url": "/", "tokens": tokens}) == [None, None, None]
    monkeypatch.setattr(program, "HUB", "http://127.0.0.1:1")
    assert program.answer({"base_url": "/", "tokens": tokens}) == [None, None, None]
