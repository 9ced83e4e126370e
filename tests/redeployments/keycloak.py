"""A real Keycloak for tests: of Maven Central, on Debian's Java, its database a file."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hubs import real_hub

VERSION = "26.0.8"
PASSWORD = "planted-keycloak-root"
#: Seconds in which it has to answer.
PATIENCE = 420
#: What it is compiled with, once: a start in development mode would do that each time.
BUILD = ("--db=dev-file", "--http-relative-path=/auth", "--health-enabled=false")


def distribution() -> Path:
    """Keycloak's folder, fetched and compiled once, and kept."""
    home = real_hub.CACHE / f"keycloak-{VERSION}-compiled"
    real_hub.CACHE.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            download = home.with_name(f"{home.name}.download")
            shutil.rmtree(download, ignore_errors=True)
            plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
            artifact = f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
            subprocess.run(["mvn", "-q", "-B", plugin, artifact, f"-DoutputDirectory={download}"], check=True)
            [archive] = download.glob("*.zip")
            with zipfile.ZipFile(archive) as content:
                content.extractall(download)
            program = download / f"keycloak-{VERSION}/bin/kc.sh"
            program.chmod(0o755)
            subprocess.run([program, "build", *BUILD], check=True, stdout=subprocess.DEVNULL)
            (download / f"keycloak-{VERSION}").rename(home)
            shutil.rmtree(download)
    return home


class Server:
    """A running one, with the realm ``qhub`` and the groups that QHub makes in it.

    ``password`` is that of its root, whom a test may give another one.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.password = PASSWORD

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """The admin API: a question, a creation, or what ``method`` says."""
        form = {"client_id": "admin-cli", "grant_type": "password", "username": "root"}
        token = self._request(
            "/realms/master/protocol/openid-connect/token",
            urllib.parse.urlencode({**form, "password": self.password}).encode(),
        )
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token['access_token']}", "Content-Type": "application/json"}
        return self._request(f"/admin/realms{path}", data, headers, method)

    def _request(
        self,
        path: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> Any:
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def lets_in(self, password: str) -> bool:
        """Whether it is root's."""
        before, self.password = self.password, password
        try:
            self.ask("")
        except urllib.error.HTTPError:
            return False
        finally:
            self.password = before
        return True

    def groups(self) -> dict[str, set[str]]:
        """The groups of each user."""
        users = {user["username"]: user["id"] for user in self.ask("/qhub/users?max=1000")}
        return {
            name: {group["name"] for group in self.ask(f"/qhub/users/{number}/groups")}
            for name, number in users.items()
        }


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start it in a folder of its own, and end it."""
    home = folder / "keycloak"
    shutil.copytree(distribution(), home, copy_function=os.link)
    port, management = free_port(), free_port()
    options = [
        "--optimized",
        "--cache=local",
        "--http-enabled=true",
        "--hostname-strict=false",
        "--proxy-headers=xforwarded",
        "--http-host=127.0.0.1",
    ]
    ports = [f"--http-port={port}", f"--http-management-port={management}"]
    with (folder / "keycloak.log").open("w") as log:
        process = subprocess.Popen(
            [home / "bin/kc.sh", "start", *options, *ports],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "KC_BOOTSTRAP_ADMIN_USERNAME": "root",
                "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
            },
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}/auth")
    try:
        _await(server, process, folder / "keycloak.log")
        server.ask("", {"realm": "qhub", "enabled": True})
        for name in ("users", "admin", "developer", "analyst"):
            server.ask("/qhub/groups", {"name": name})
        yield server
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError):
            server.ask("")
            return
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
