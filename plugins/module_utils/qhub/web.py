"""A site as its visitors reach it: by its name, over HTTPS, with cookies, one redirect at a time."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from ..errors import HubError

#: Seconds for one request.
TIMEOUT = 30


@dataclass(frozen=True)
class Answer:
    """What a URL has answered; a redirect is an answer, and is not followed."""

    url: str
    status: int
    text: str
    location: str = ""
    """Where a redirect leads to, as a whole URL."""

    @property
    def data(self) -> Any:
        """The JSON of the answer; None where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Visitor:
    """Somebody with a browser's cookies. ``validate_certs`` is as in Ansible's own modules."""

    def __init__(self, validate_certs: bool = True) -> None:
        context = ssl.create_default_context()
        if not validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _AsItIs,
        )

    def get(self, url: str, headers: dict[str, str] | None = None) -> Answer:
        """The answer of a URL. Raises HubError where there is none."""
        request = urllib.request.Request(url, headers=headers or {})
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return _answer(url, response.status, response)
        except urllib.error.HTTPError as error:
            return _answer(url, error.code, error)
        except (OSError, http.client.HTTPException) as error:
            raise HubError(
                f"{url.partition('?')[0]} cannot be reached: {getattr(error, 'reason', error)}.",
                "Look whether the site is deployed, and its DNS record. Where its certificate is one that "
                "this host does not know: qhub_validate_certs: false.",
            ) from error

    def hub_version(self, domain: str) -> str:
        """The version of JupyterHub that the hub at a domain answers. Raises HubError where it does not."""
        answer = self.get(f"https://{domain}/hub/api/")
        if answer.status != 200 or not isinstance(answer.data, dict) or not answer.data.get("version"):
            raise HubError(
                f"{answer.url} has answered {answer.status}, and not the version of a hub.",
                "Look at the site's hub, `kubectl logs deployment/hub`, and run again.",
            )
        return str(answer.data["version"])


class _AsItIs(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(url: str, status: int, response: Any) -> Answer:
    text = response.read().decode("utf-8", "replace")
    location = response.headers.get("Location") or ""
    return Answer(url, status, text, urllib.parse.urljoin(url, location) if location else "")


def addresses(domain: str) -> tuple[str, ...]:
    """What a name resolves to on this host. Raises HubError where it resolves to nothing."""
    try:
        found = socket.getaddrinfo(domain, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HubError(
            f"{domain} cannot be resolved: {error.strerror or error}.",
            "Give it its DNS record, wait until this host knows it, and run again.",
        ) from error
    return tuple(sorted({str(each[4][0]) for each in found}))
