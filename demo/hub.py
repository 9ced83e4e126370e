"""The running hub, as its users meet it: over HTTP through the proxy."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import Any

from machine import wait_for

SECONDS_TO_START = 120
SECONDS_TO_ANSWER = 60


class Refused(Exception):
    """The hub answered, with an error of HTTP."""


class Hub:
    """The hub's API with one token; loopback, so never through a proxy of the network."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer of `path`; raises Refused, or OSError when nobody answers."""
        return self._request(method, path, body)[0]

    def headers(self, path: str) -> Message:
        return self._request("GET", path)[1]

    def wait_until_it_answers(self) -> None:
        def answers() -> bool:
            try:
                self.call("GET", "/hub/api/info")
            except (OSError, Refused):
                return False
            return True

        wait_for("the hub to answer", answers, SECONDS_TO_START)

    def server_is_ready(self, user: str) -> bool:
        server = self.call("GET", f"/hub/api/users/{user}")["servers"].get("")
        return bool(server and server["ready"])

    def start_server(self, user: str) -> None:
        """Returns when the user's server is ready; at once when it is."""
        if not self.server_is_ready(user):
            self.call("POST", f"/hub/api/users/{user}/server")
            wait_for(f"the server of {user}", lambda: self.server_is_ready(user), SECONDS_TO_START)

    def _request(self, method: str, path: str, body: object = None) -> tuple[Any, Message]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=SECONDS_TO_ANSWER) as answer:
                content = answer.read()
                return (json.loads(content) if content else None), answer.headers
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path} was answered with {error.code} {error.reason}") from error


class Browser:
    """Somebody who logs in with a password and holds a cookie from then on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def log_in(self, user: str, password: str) -> bool:
        self._open("/hub/login")
        xsrf = next(cookie.value for cookie in self._cookies if cookie.name == "_xsrf")
        form = urllib.parse.urlencode({"username": user, "password": password, "_xsrf": xsrf or ""})
        try:
            self._open("/hub/login?next=/hub/home", form.encode())
        except urllib.error.HTTPError:
            return False
        return self.is_logged_in()

    def is_logged_in(self) -> bool:
        """The hub's home page sends strangers to the log-in page."""
        return urllib.parse.urlparse(self._open("/hub/home")).path == "/hub/home"

    def _open(self, path: str, form: bytes | None = None) -> str:
        with self._opener.open(self.url + path, form, timeout=SECONDS_TO_ANSWER) as answer:
            answer.read()
            return str(answer.url)
