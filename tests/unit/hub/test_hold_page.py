"""The page of a hub that is away: for people, for programs, whatever they ask."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import hold_page

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def ask(
    address: str, path: str, method: str, headers: dict[str, str]
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request(method, path, body="username=ada" if method == "POST" else None, headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()


@pytest.mark.parametrize(
    ("path", "method", "headers", "kind"),
    [
        ("/hub/login", "GET", BROWSER, "text/html; charset=utf-8"),
        ("/hub/login?next=%2Fhub%2F", "POST", BROWSER, "text/html; charset=utf-8"),
        ("/hub/home", "HEAD", BROWSER, "text/html; charset=utf-8"),
        ("/jupyter/hub/api/users", "GET", BROWSER, "application/json"),
        ("/hub/api/users/ada/server", "DELETE", {}, "application/json"),
        ("/services/nbgrader", "GET", {"Accept": "application/json"}, "application/json"),
    ],
)
def test_whatever_is_asked_is_answered(path: str, method: str, headers: dict[str, str], kind: str) -> None:
    with hold_page.serving(300) as address:
        answer, text = ask(address, path, method, headers)
    assert (answer.status, answer.headers["Content-Type"]) == (503, kind)
    assert answer.headers["Cache-Control"] == "no-store"
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    if method == "HEAD":
        assert text == ""
    elif kind == "application/json":
        assert json.loads(text)["message"].startswith("JupyterHub is being upgraded. It takes about ")
    else:
        assert f"It takes about {answer.headers['Retry-After']} more seconds." in text


@pytest.mark.parametrize("expected", [None, 0.0])
def test_where_nobody_knows_how_long_it_takes_it_is_soon(expected: float | None) -> None:
    with hold_page.serving(expected) as address:
        answer, text = ask(address, "/hub/login", "GET", BROWSER)
    assert answer.headers["Retry-After"] == str(hold_page.SOON_SECONDS)
    assert "It takes a few more seconds." in text


def test_it_is_gone_with_the_block() -> None:
    with hold_page.serving(1) as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        ask(address, "/", "GET", {})
