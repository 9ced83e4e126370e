"""Asking a hub, or a server of it, on this host: whatever it answers is an answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple

ANSWER_TIMEOUT = 30


class Answer(NamedTuple):
    """``status`` is 0 where nobody answered, and ``body`` the reason."""

    status: int
    body: Any
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.status} ({str(self.body)[:200]})" if self.status else f"nothing ({self.body})"


def ask(url: str, token: str = "", method: str = "GET", data: Any = None, accept: str = "*/*") -> Answer:
    """The answer of a hub or server on this host, whatever it is; redirects are answers."""
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Accept": accept}, method=method)
    if token:
        request.add_unredirected_header("Authorization", f"token {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _AsItIs)
    try:
        with opener.open(request, timeout=ANSWER_TIMEOUT) as response:
            return _answer(response.status, response)
    except urllib.error.HTTPError as error:
        return _answer(error.code, error)
    except OSError as error:
        return Answer(0, getattr(error, "reason", error), {})


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
