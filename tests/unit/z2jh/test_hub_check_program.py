"""How the hub is asked through its proxy, wherever TLS ends, and how a new proxy gets its routes."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import hub_check_program as program

from tests.testbed.kubernetes.certificates import write_certificates

ADDRESS = "127.0.0.1"
SERVER = ("ada", "")


class Site:
    """A hub and its proxy at one address; the proxy has no routes until the hub gives it some."""

    def __init__(self) -> None:
        self.has_routes = False
        self.asked: list[str] = []

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path.partition('?')[0]}")
        if (method, path) == ("POST", "/api/proxy"):
            self.has_routes = True
            return 200, None
        if path.startswith("/api/proxy"):
            route = {"routespec": "/user/ada/", "target": self.target, "data": {"user": "ada"}}
            return 200, {"/user/ada/": route} if self.has_routes else {}
        return (200, {"version": "5.4.6"}) if self.has_routes else (404, None)

    @property
    def target(self) -> str:
        return f"http://{ADDRESS}:{self.port}"

    @contextlib.contextmanager
    def serving(self, certificate: Path | None = None, redirects: str = "") -> Iterator[int]:
        """Its port, with TLS where there is a certificate."""
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                code, body = (302, None) if redirects else site.answer(self.command, self.path)
                self.send_response(code)
                if redirects:
                    self.send_header("Location", f"{redirects}{self.path}")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            do_POST = do_GET

        server = http.server.ThreadingHTTPServer((ADDRESS, 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "server.crt", certificate / "server.key")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            self.port = server.server_port
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For another name than the address at which it is met."""
    folder = tmp_path_factory.mktemp("certificate")
    write_certificates(folder, ["hub.example.org"], [])
    return folder


def service(monkeypatch: pytest.MonkeyPatch, **ports: int) -> None:
    """What a pod is told of the proxy's service, in the order of its ports."""
    monkeypatch.setenv("PROXY_PUBLIC_SERVICE_HOST", ADDRESS)
    for number, (name, port) in enumerate(ports.items()):
        monkeypatch.setenv(f"PROXY_PUBLIC_SERVICE_PORT_{name.upper()}", str(port))
        if not number:
            monkeypatch.setenv("PROXY_PUBLIC_SERVICE_PORT", str(port))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """One that is not reached by way of anything that is meant for the Internet."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Site()
    made.has_routes = True
    yield made


def asked(site: Site) -> list[str]:
    return program.ask_proxy(f"{site.target}/api", "token", "/")


def test_a_hub_is_reached_by_plain_http(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.serving() as port:
        service(monkeypatch, http=port)
        assert asked(site) == []


def test_a_hub_is_reached_where_the_proxy_ends_tls(
    site: Site, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    with site.serving(certificate) as https, Site().serving() as http:
        service(monkeypatch, https=https, http=http)
        assert asked(site) == []
    assert site.asked == ["GET /hub/api/"]


def test_a_hub_is_reached_where_a_load_balancer_ends_tls(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.serving() as port:
        service(monkeypatch, https=port)
        assert asked(site) == []


def test_a_redirection_is_an_answer_of_the_proxy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.serving(redirects="https://hub.example.org") as port:
        service(monkeypatch, http=port)
        assert asked(site) == []


def test_a_proxy_without_routes_is_given_them_by_the_hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.has_routes = False
    with site.serving() as port:
        service(monkeypatch, http=port)
        assert asked(site) == []
    assert "POST /api/proxy" in site.asked


def test_a_server_without_a_route_gets_it_and_answers(site: Site) -> None:
    site.has_routes = False
    with site.serving():
        assert program.silent(f"{site.target}/api", "token", [list(SERVER)]) == []
    assert site.asked.count("POST /api/proxy") == 1


def test_a_proxy_that_nobody_reaches_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "PROXY_SECONDS", 0)
    with site.serving(), socket.socket() as deaf:
        deaf.bind((ADDRESS, 0))
        port = deaf.getsockname()[1]
        service(monkeypatch, http=port)
        [problem] = asked(site)
    assert f"The hub does not answer through the proxy: http://{ADDRESS}:{port}/hub/api/" in problem
