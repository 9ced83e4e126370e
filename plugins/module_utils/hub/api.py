"""What a hub, or a server of it, answers over HTTP on this host."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

from ..errors import HubError
from ..system import containers
from . import sockets

ANSWER_TIMEOUT = 30
VERSION_TIMEOUT = 2
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Answer(NamedTuple):
    """``status`` is 0 where there was no answer, and ``body`` the reason."""

    status: int
    body: Any
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.status} ({str(self.body)[:200]})" if self.status else f"nothing ({self.body})"


def ask(
    url: str,
    token: str = "",
    method: str = "GET",
    data: Any = None,
    accept: str = "*/*",
    *,
    follow: bool = False,
    timeout: float = ANSWER_TIMEOUT,
) -> Answer:
    """The answer of a hub or server on this host, whatever it is, within ``timeout`` seconds.

    It may listen on a socket, see `sockets`. A redirect is an answer, unless one is to ``follow`` it.
    Certificates are checked where a token is sent to another host.
    """
    path, url = sockets.split(url)
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Accept": accept}, method=method)
    if token:
        # Not as an ordinary header: those follow a redirect to another host.
        request.add_unredirected_header("Authorization", f"token {token}")
    trust = tls(url) if token else _unchecked()
    plain = sockets.SocketHandler(path) if path else _Http()
    handlers: list[Any] = [urllib.request.ProxyHandler({}), plain, _Https(trust)]
    if not follow:
        handlers.append(_AsItIs)
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as response:
            return _answer(response.status, response)
    except urllib.error.HTTPError as error:
        return _answer(error.code, error)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, getattr(error, "reason", error), {})


def read(url: str, token: str = "", accept: str = "application/json") -> Any:
    """The JSON that a URL answers. Raises HubError when it does not."""
    answer = ask(url, token, accept=accept, follow=True)
    if not answer.status:
        raise HubError(f"The hub does not answer {url}: {answer.body}.")
    if answer.status >= 300:
        reason = http.client.responses.get(answer.status, "")
        raise HubError(f"The hub answers {url} with {answer.status} {reason}.")
    if isinstance(answer.body, str):
        raise HubError(f"The hub answers {url} with something else than JSON.")
    return answer.body


def version(api_url: str) -> str | None:
    """The version that a hub answers at ``api_url``, which needs no token; None when it does not answer."""
    answer = ask(f"{api_url.rstrip('/')}/", follow=True, timeout=VERSION_TIMEOUT)
    found = answer.body.get("version") if answer.status == 200 and isinstance(answer.body, dict) else None
    return None if found is None else str(found)


def tls(url: str) -> ssl.SSLContext:
    """How a certificate is checked where a token goes: not on this host, where nobody is in between."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return _unchecked() if host in _LOOPBACK else ssl.create_default_context()


def _unchecked() -> ssl.SSLContext:
    """No verification: the hub's own addresses have certificates for other names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Connection(http.client.HTTPConnection):
    """One to this host, or to a container of it."""

    def connect(self) -> None:
        if not self.host.endswith(containers.DOMAIN):
            super().connect()
            return
        name = self.host[: -len(containers.DOMAIN)]
        try:
            self.sock = containers.connect(name, self.port, self.timeout)
        except HubError as error:
            raise ConnectionError(error.message) from error


class _SecureConnection(http.client.HTTPSConnection, _Connection):
    """The same with TLS."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, trust: ssl.SSLContext) -> None:
        super().__init__(context=trust)
        self.trust = trust

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_SecureConnection, req, context=self.trust)


class _AsItIs(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(status: int, response: Any) -> Answer:
    text = response.read().decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return Answer(status, body, {name.lower(): value for name, value in response.headers.items()})
