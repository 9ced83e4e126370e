"""Unix sockets on which a hub or its proxy listens; in a URL, the path of one stands for the host."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ..releases.versions import parse_release

#: How a config names a socket, for releases before 6.0 and since.
OLD_SCHEME, SCHEME = SCHEMES = ("unix+http", "http+unix")
_SINCE = parse_release("6.0.0a0")


def split(url: str) -> tuple[str, str]:
    """The socket's path, and the URL to ask for there; '' and the URL itself for one that leads to a host."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return "", url
    return unquote(parts.netloc), urlunsplit(("http", "localhost", parts.path, parts.query, ""))


def scheme_of(version: str) -> str:
    """How the config of this release names the hub's socket; it knows no other way."""
    return SCHEME if parse_release(version) >= _SINCE else OLD_SCHEME


class SocketHandler(urllib.request.HTTPHandler):
    """Has urllib ask through a socket, whatever the host in the URL is."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> _Connection:
        return _Connection(self._path, host, **options)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
