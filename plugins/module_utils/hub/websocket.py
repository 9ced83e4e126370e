"""A client of the WebSocket protocol (RFC 6455), as much of it as a kernel's messages need."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

from ..errors import HubError
from . import api

#: What a server adds to a client's key before it answers with the digest of both.
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_LAST = 0x80
_MASKED = 0x80
#: A kernel's answer that is longer is none to what is asked here.
_MOST_BYTES = 16 * 2**20


class WebSocket:
    """An open connection; messages are texts."""

    def __init__(self, connection: socket.socket, incoming: BinaryIO, deadline: float) -> None:
        self._connection = connection
        self._incoming = incoming
        self._deadline = deadline

    def send(self, text: str) -> None:
        self._send(_TEXT, text.encode())

    def receive(self) -> str:
        """The next message. Raises HubError when the server has closed, or none comes in time."""
        message = b""
        while True:
            kind, is_last, content = self._frame()
            if kind == _PING:
                self._send(_PONG, content)
            elif kind == _CLOSE:
                self._send(_CLOSE, content)
                raise HubError(f"The server has closed the websocket{_reason(content)}.")
            elif kind != _PONG:
                message += content
                if len(message) > _MOST_BYTES:
                    raise HubError("The server sends a message without an end.")
                if is_last:
                    return message.decode("utf-8", "replace")

    def close(self) -> None:
        """Say good-bye; whoever has gone already needs none."""
        with contextlib.suppress(OSError, HubError):
            self._send(_CLOSE, struct.pack("!H", 1000))

    def _send(self, kind: int, content: bytes) -> None:
        mask = os.urandom(4)
        size = len(content)
        if size < 126:
            header = struct.pack("!BB", _LAST | kind, _MASKED | size)
        elif size < 2**16:
            header = struct.pack("!BBH", _LAST | kind, _MASKED | 126, size)
        else:
            header = struct.pack("!BBQ", _LAST | kind, _MASKED | 127, size)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self._wait()
        self._connection.sendall(header + mask + masked)

    def _frame(self) -> tuple[int, bool, bytes]:
        """Kind, whether the message ends with it, content; a server's frames are not masked."""
        first, second = self._read(2)
        size = second & ~_MASKED
        if size == 126:
            (size,) = struct.unpack("!H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._read(8))
        if size > _MOST_BYTES or second & _MASKED:
            raise HubError("The server does not speak the WebSocket protocol.")
        return first & 0x0F, bool(first & _LAST), self._read(size)

    def _read(self, size: int) -> bytes:
        self._wait()
        content = self._incoming.read(size)
        if len(content) < size:
            raise HubError("The server has ended the websocket.")
        return content

    def _wait(self) -> None:
        self._connection.settimeout(max(self._deadline - time.monotonic(), 0.001))


@contextlib.contextmanager
def connected(url: str, token: str, timeout: float) -> Iterator[WebSocket]:
    """A websocket at an ``http`` or ``https`` address, open for at most ``timeout`` seconds.

    Raises HubError where the server does not accept it, and within the block when the connection fails.
    """
    deadline = time.monotonic() + timeout
    parts = urlsplit(url)
    connection = _connection(url, timeout)
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Authorization": f"token {token}",
    }
    try:
        with contextlib.closing(connection):
            connection.request("GET", f"{parts.path}?{parts.query}".rstrip("?"), headers=headers)
            response = connection.getresponse()
            wanted = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
            if response.status != 101 or response.headers.get("Sec-WebSocket-Accept") != wanted:
                raise HubError(f"The server accepts no websocket: it answers {response.status}.")
            # The response's own reader may have read on, into the first frame.
            opened = WebSocket(connection.sock, response.fp, deadline)
            try:
                yield opened
            finally:
                opened.close()
    except (OSError, http.client.HTTPException) as error:
        raise HubError(f"The websocket has failed: {error}.") from error


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=api.tls(url))
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _reason(content: bytes) -> str:
    """What a closing frame says: a number, and perhaps a text."""
    if len(content) < 2:
        return ""
    text = content[2:].decode("utf-8", "replace")
    return f" with {struct.unpack('!H', content[:2])[0]}" + (f" ({text})" if text else "")
