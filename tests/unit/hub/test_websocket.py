"""The WebSocket client against what RFC 6455 allows a server to send."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.websocket import connected

TEXT, CONTINUED, CLOSE, PING, PONG = 0x1, 0x0, 0x8, 0x9, 0xA
LONG = "x" * 70_000


def frame(kind: int, content: bytes, last: bool = True) -> bytes:
    """A frame as a server sends it: not masked."""
    size = len(content)
    first = (0x80 if last else 0) | kind
    if size < 126:
        return struct.pack("!BB", first, size) + content
    if size < 2**16:
        return struct.pack("!BBH", first, 126, size) + content
    return struct.pack("!BBQ", first, 127, size) + content


class Server:
    """One connection: it sends what it is given together with its handshake, and keeps what it receives."""

    def __init__(self, sends: bytes, accept: Callable[[str], str] | None = None) -> None:
        self._sends = sends
        self._accept = accept or self._digest
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.request = ""
        self.frames: list[tuple[int, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/channels?session_id=1"

    @contextlib.contextmanager
    def serving(self) -> Iterator[Server]:
        self._thread.start()
        try:
            yield self
        finally:
            self._thread.join(10)
            self._listening.close()

    @staticmethod
    def _digest(key: str) -> str:
        return base64.b64encode(
            hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        ).decode()

    def _serve(self) -> None:
        connection, _address = self._listening.accept()
        with connection, connection.makefile("rb") as incoming:
            while not self.request.endswith("\r\n\r\n"):
                self.request += incoming.readline().decode()
            key = next(
                line.partition(": ")[2]
                for line in self.request.split("\r\n")
                if line.startswith("Sec-WebSocket-Key")
            )
            head = f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {self._accept(key)}\r\n\r\n"
            connection.sendall(head.encode() + self._sends)
            while header := incoming.read(2):
                kind, size = header[0] & 0x0F, header[1] & 0x7F
                assert header[1] & 0x80, "a client masks"
                if size > 125:
                    size = int.from_bytes(incoming.read(2 if size == 126 else 8), "big")
                mask = incoming.read(4)
                masked = incoming.read(size)
                self.frames.append((kind, bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked))))


def test_messages_of_all_sizes_in_pieces_and_with_pings_in_between() -> None:
    sends = (
        frame(TEXT, b"short")
        + frame(TEXT, ("\N{SNOWMAN}" * 100).encode())
        + frame(TEXT, LONG.encode())
        + frame(TEXT, b"in ", last=False)
        + frame(PING, b"still there?")
        + frame(CONTINUED, b"pieces")
    )
    with Server(sends).serving() as server, connected(server.url, "t0", 10) as opened:
        received = [opened.receive() for _ in range(4)]
        for text in ("1 + 1", "y" * 300, LONG):
            opened.send(text)
    assert received == ["short", "\N{SNOWMAN}" * 100, LONG, "in pieces"]
    assert server.frames == [
        (PONG, b"still there?"),
        (TEXT, b"1 + 1"),
        (TEXT, b"y" * 300),
        (TEXT, LONG.encode()),
        (CLOSE, struct.pack("!H", 1000)),
    ]
    assert server.request.startswith("GET /channels?session_id=1 HTTP/1.1\r\n")
    assert "Authorization: token t0\r\n" in server.request


@pytest.mark.parametrize(
    ("sends", "message"),
    [
        (
            frame(CLOSE, struct.pack("!H", 1011) + b"no kernel"),
            r"has closed the websocket with 1011 \(no kernel\)",
        ),
        (frame(TEXT, b"x" * 50)[:20], "The websocket has failed: timed out"),
        (struct.pack("!BBQ", 0x81, 127, 2**40), "does not speak the WebSocket protocol"),
        (b"", "The websocket has failed: timed out"),
    ],
    ids=["closed", "cut off", "no protocol", "silent"],
)
def test_a_server_that_fails_is_told_apart(sends: bytes, message: str) -> None:
    with Server(sends).serving() as server, pytest.raises(HubError, match=message), connected(
        server.url, "t0", 0.5
    ) as opened:
        opened.receive()


def test_a_server_that_is_none_is_refused() -> None:
    server = Server(b"", accept=lambda _key: "something else")
    refused = "The server accepts no websocket: it answers 101"
    with server.serving(), pytest.raises(HubError, match=refused), connected(server.url, "t0", 10):
        pass
