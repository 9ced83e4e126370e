"""Names and sites as a visitor finds them: a hosts file, an authority, and stand-ins for both sites.

The stand-ins say what the hubs of QHub 0.3.14 and 0.4.5 say to a visitor: the API's version, and the log-in
redirect with the settings of QHub's own `GenericOAuthenticator`. Behind ``/auth`` is its Keycloak.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import ssl
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict

from tests import REPOSITORY
from tests.redeployments.qhub_site import DOMAIN, OLD_DOMAIN
from tests.testbed.kubernetes.certificates import write_certificates

TENANT = "institute.auth0.com"
#: Of an administrator of the new hub.
TOKEN = "planted-hub-token"
Page = tuple[int, list[tuple[str, str]], bytes]


class Names:
    """What the domains resolve to, for programs that run within it, and the certificates for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hosts = folder / "hosts"
        write_certificates(folder / "certificates", [DOMAIN, OLD_DOMAIN, "github.com", TENANT], ["127.0.0.1"])

    def lead(self, **addresses: str) -> None:
        """Give ``domain``, ``old_domain``, ``github`` and ``auth0`` their addresses, or none."""
        names = {"domain": DOMAIN, "old_domain": OLD_DOMAIN, "github": "github.com", "auth0": TENANT}
        lines = [f"{address} {names[name]}\n" for name, address in addresses.items()]
        self._hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))

    def take(self, site: Site, step: str, kill: int = 0) -> str:
        """Take a step where these names are; what became of it, or why it was refused.

        ``kill``: it is killed before it writes the record for the n-th time, and nothing becomes of it.
        """
        wanted = self.folder / "site.json"
        wanted.write_text(json.dumps(to_dict(site)))
        argv = [*self.within, sys.executable, "-m", "tests.redeployments.taking", str(wanted), step]
        done = subprocess.run([*argv, str(kill)], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == (-9 if kill else 0), done.stdout + done.stderr
        return done.stdout.strip()

    @property
    def within(self) -> list[str]:
        """The command in whose mounts the file is this machine's, and the authority known."""
        script = 'mount --bind "$1" /etc/hosts && export SSL_CERT_FILE="$2" && shift 2 && exec "$@"'
        authority = self.folder / "certificates/ca.crt"
        return ["unshare", "--mount", "sh", "-c", script, "names", str(self._hosts), str(authority)]

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = self.folder / "certificates"
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        return context


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class StandIn:
    """A site on port 443 of an address of its own. ``pages`` may be changed while it runs."""

    def __init__(self, address: str, keycloak: str = "") -> None:
        self.address = address
        self.keycloak = keycloak
        self.pages: dict[str, Callable[[Asked], Page]] = {}

    def answer(self, handler: BaseHTTPRequestHandler) -> Page:
        if self.keycloak and handler.path.startswith("/auth/"):
            return self._forwarded(handler)
        path, _mark, query = handler.path.partition("?")
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(handler.command, path, urllib.parse.parse_qs(query), dict(handler.headers), body)
        page = self.pages.get(path)
        return page(asked) if page else (404, [], b"no such page")

    def _forwarded(self, handler: BaseHTTPRequestHandler) -> Page:
        """As the ingress does it."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.keycloak).netloc, timeout=60)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {**dict(handler.headers), "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}
        connection.request(handler.command, handler.path, body, headers)
        reply = connection.getresponse()
        wanted = ("location", "content-type", "set-cookie")
        kept = [(name, value) for name, value in reply.getheaders() if name.lower() in wanted]
        return reply.status, kept, reply.read()


def as_json(data: object) -> Page:
    return 200, [("Content-Type", "application/json")], json.dumps(data).encode()


def old_site(site: StandIn) -> None:
    """QHub 0.3.14."""
    site.pages = {"/hub/api/": lambda _asked: as_json({"version": "1.4.2"})}


def new_site(site: StandIn, redirect_uri: str = f"https://{DOMAIN}/hub/oauth_callback") -> None:
    """QHub 0.4.5, whose log-in leads to its Keycloak."""
    query = {"response_type": "code", "redirect_uri": redirect_uri, "client_id": "jupyterhub", "state": "x"}
    authorize = f"https://{DOMAIN}/auth/realms/qhub/protocol/openid-connect/auth"

    def users(asked: Asked) -> Page:
        if asked.headers.get("Authorization") != f"token {TOKEN}":
            return 403, [], b""
        return as_json([{"name": "ada"}, {"name": "grace"}])

    to_keycloak = [("Location", f"{authorize}?{urllib.parse.urlencode(query)}")]
    site.pages = {
        "/hub/api/": lambda _asked: as_json({"version": "1.5.0"}),
        "/auth/realms/qhub": lambda _asked: as_json({"realm": "qhub"}),
        "/hub/api/users": users,
        "/hub/login": lambda _asked: (200, [], b'<a href="/hub/oauth_login">Sign in</a>'),
        "/hub/oauth_login": lambda _asked: (302, to_keycloak, b""),
    }


@contextlib.contextmanager
def served(names: Names, keycloak: str = "") -> Iterator[StandIn]:
    """A stand-in on a free address of the loopback network."""
    site: StandIn

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = site.answer(self)
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A visitor who does not trust the certificate."""

    for _attempt in range(100):
        address = f"127.{random.randrange(50, 250)}.{random.randrange(1, 250)}.1"
        with contextlib.suppress(OSError):
            server = Server((address, 443), Handler)
            break
    else:
        raise OSError("No address of the loopback network has a free port 443.")
    site = StandIn(address, keycloak)
    server.socket = names.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
