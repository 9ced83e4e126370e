"""The Docker engine of this host, asked over its socket (Docker Engine API).

Addresses have no version of the API in them: the engine then speaks its newest, which knows all settings.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any
from urllib.parse import quote, urlencode

from ..errors import HubError
from .execution_context import NEEDS_ROOT

SOCKET = "/var/run/docker.sock"
ANSWER_SECONDS = 60
LOOK_SECONDS = 10
_NOT_FOUND = 404


class EngineError(HubError):
    """The engine has refused something, or cannot be reached."""


class NotThere(EngineError):
    """No container or image of that name."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def is_here() -> bool:
    """Whether this host has an engine of Docker's own that may be asked, and answers."""
    if not os.access(SOCKET, os.R_OK | os.W_OK):
        return False
    try:
        version = json.loads(ask("GET", "/version", timeout=LOOK_SECONDS))
    except EngineError:
        return False
    # Podman answers at the same address, and has a component of another name.
    return any(each.get("Name") == "Engine" for each in version.get("Components", []))


def ask(method: str, path: str, body: Any = None, timeout: float = ANSWER_SECONDS, **query: Any) -> bytes:
    """What the engine answers, within ``timeout`` seconds. Raises NotThere and EngineError."""
    content = None if body is None else json.dumps(body).encode()
    return _ask(method, path, content, "application/json", timeout, query)


def put(path: str, archive: bytes, timeout: float, **query: Any) -> bytes:
    """What the engine answers to an archive (tar). Raises NotThere and EngineError."""
    return _ask("POST", path, archive, "application/x-tar", timeout, query)


def _ask(
    method: str, path: str, content: bytes | None, kind: str, timeout: float, query: dict[str, Any]
) -> bytes:
    address = f"{quote(path)}{'?' if query else ''}{urlencode(query)}"
    connection = _Connection(timeout)
    try:
        connection.request(method, address, content, {"Content-Type": kind})
        response = connection.getresponse()
        answer = response.read()
    except PermissionError:
        raise EngineError(f"{SOCKET} may not be used.", NEEDS_ROOT) from None
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(
            f"The Docker engine does not answer at {SOCKET}: {error}.", "Start it: systemctl start docker."
        ) from error
    finally:
        connection.close()
    if response.status < 400:
        return answer
    reason = _message(answer) or response.reason
    error_class = NotThere if response.status == _NOT_FOUND else EngineError
    raise error_class(f"The Docker engine refuses {method} {path}: {reason.rstrip('.')}.")


def read(path: str, **query: Any) -> Any:
    """The JSON that the engine answers. Raises NotThere and EngineError."""
    return json.loads(ask("GET", path, **query))


def send(path: str, body: Any = None, **query: Any) -> Any:
    """What the engine answers to an order: JSON, or None. Raises NotThere and EngineError."""
    answer = ask("POST", path, body, **query)
    return json.loads(answer) if answer else None


def text_of(stream: bytes) -> str:
    """What a container has printed.

    The engine sends frames, each with a head of 8 bytes that ends with its length; a terminal's has none.
    """
    text, rest = b"", stream
    while rest[:1] in (b"\0", b"\1", b"\2") and rest[1:4] == b"\0\0\0":
        length = int.from_bytes(rest[4:8], "big")
        text, rest = text + rest[8 : 8 + length], rest[8 + length :]
    return (text + rest).decode("utf-8", "replace")


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return ""
