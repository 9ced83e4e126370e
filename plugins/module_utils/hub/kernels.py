"""Kernels of a single-user server: one is opened, computes, and is shut down, as a notebook would do it.

https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

from ..errors import HubError
from .api import ask
from .websocket import WebSocket, connected

#: The same in all languages that have a kernel; R writes ``[1] 2``.
QUESTION, ANSWER = "1 + 1", "2"


def names(server_url: str, token: str) -> list[str] | None:
    """The kernels that a server offers; None where it is no Jupyter server."""
    answer = ask(f"{server_url}/api/kernelspecs", token)
    is_jupyter = answer.status == 200 and isinstance(answer.body, dict) and "kernelspecs" in answer.body
    return sorted(answer.body["kernelspecs"]) if is_jupyter else None


def compute(server_url: str, token: str, timeout: float) -> str:
    """What a new kernel of the server's default kind answers to `QUESTION`.

    Raises HubError when none starts, or no answer comes within ``timeout`` seconds from then on.
    """
    with _kernel(server_url, token) as kernel, connected(
        channels(server_url, kernel), token, timeout
    ) as socket:
        return execute(socket, QUESTION)


def channels(server_url: str, kernel: str) -> str:
    """The address of a kernel's websocket, for one who has none yet."""
    return f"{server_url}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"


@contextlib.contextmanager
def _kernel(server_url: str, token: str) -> Iterator[str]:
    """The id of a new kernel, which is shut down behind the block."""
    started = ask(f"{server_url}/api/kernels", token, "POST", {})
    if started.status != 201:
        raise HubError(f"The server starts no kernel: it answers {started}.")
    kernel = str(started.body["id"])
    try:
        yield kernel
    finally:
        ask(f"{server_url}/api/kernels/{kernel}", token, "DELETE")


def execution(code: str) -> dict[str, Any]:
    """The message that has a kernel run a piece of code."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": uuid.uuid4().hex,
        "version": "5.3",
    }
    content: dict[str, Any] = {
        "code": code,
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}


def execute(socket: WebSocket, code: str) -> str:
    """What the kernel answers to a piece of code. Raises HubError where that fails, or has no result."""
    request = execution(code)
    socket.send(json.dumps(request))
    while True:
        message = json.loads(socket.receive())
        if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            continue
        kind, said = message["header"]["msg_type"], message["content"]
        if kind == "execute_result":
            return str(said["data"].get("text/plain", ""))
        if kind == "error":
            raise HubError(f"The kernel fails: {said.get('ename')}: {said.get('evalue')}.")
        if kind == "status" and said["execution_state"] == "idle":
            raise HubError(f"The kernel has no result for {code}.")
