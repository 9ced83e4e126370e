"""A door to the API server through which one Helm goes: at a chosen request of it, somebody is killed, say.

What Helm writes passes one request at a time, so that the moment is exact: what was written before is in the
cluster, and nothing that comes after is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.testbed.kubernetes import Cluster

#: Moments of an upgrade by Helm, each by what it has just written.
MOMENTS = {
    "before anything is written": "",
    "its revision is pending": "POST .*/secrets$",
    "network policy changed": "PATCH .*/networkpolicies/hub$",
    "Secret changed": "PATCH .*/secrets/hub$",
    "config changed": "PATCH .*/configmaps/hub$",
    "Role changed": "PATCH .*/roles/hub$",
    "hub changed, proxy not yet": "PATCH .*/deployments/hub$",
    "proxy changed": "PATCH .*/deployments/proxy$",
    "the new revision is not the old one's successor yet": r"PUT .*/secrets/sh\.helm\.release",
    "all is written": r"PUT .*/secrets/sh\.helm\.release.*\nPUT .*/secrets/sh\.helm\.release",
}
WRITES = ("POST", "PUT", "PATCH", "DELETE")
#: A Helm whose upgrade goes through the door; what it only reads does not.
PROGRAM = """#!/bin/sh
[ "$1" = upgrade ] || exec {helm} "$@"
echo $$ >{pid}
KUBECONFIG={kubeconfig} exec {helm} "$@"
"""
#: What belongs to one connection, and is not handed on.
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length")


@dataclass
class Door:
    """What was written through it, and what happens at the moment."""

    folder: Path
    #: A pattern of lines ``METHOD path``: the moment is when it fits what was written. '': before anything.
    moment: str
    #: What is done at the moment, while Helm waits for its answer; whether it gets one.
    then: Callable[[], bool] | None = None
    written: list[str] = field(default_factory=list)
    is_over: bool = False
    is_shut: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def program(self) -> Path:
        """The Helm that goes through it."""
        return self.folder / "helm"

    def kill_helm(self) -> bool:
        """End the Helm that is at the door."""
        os.kill(int((self.folder / "helm.pid").read_text()), signal.SIGKILL)
        return False

    def pass_on(self, line: str, send: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes] | None:
        """The answer to a write; None where nobody is there any more to take it."""
        with self.lock:
            if not self.moment:
                self._reach()
            if self.is_shut:
                return None
            answer = send()
            self.written.append(line)
            if self.moment and re.search(self.moment, "\n".join(self.written)):
                self._reach()
            return None if self.is_shut else answer

    def _reach(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.is_shut = not (self.then or self.kill_helm)()


@contextlib.contextmanager
def door(
    cluster: Cluster, folder: Path, moment: str, then: Callable[[], bool] | None = None
) -> Iterator[Door]:
    """A door for the Helm ``program`` of it; ``then``: what happens at the moment, if not its death."""
    folder.mkdir()
    made = Door(folder, moment, then)
    argv = [str(cluster.kubectl_program), "proxy", "--port=0"]
    with subprocess.Popen(argv, env=cluster.environment, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout
            port = int(proxy.stdout.readline().rpartition(":")[2])
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made, port))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            kubeconfig = folder / "kubeconfig"
            kubeconfig.write_text(json.dumps(_kubeconfig(server.server_port)))
            text = PROGRAM.format(helm=cluster.helm4_program, pid=folder / "helm.pid", kubeconfig=kubeconfig)
            made.program.write_text(text)
            made.program.chmod(0o700)
            yield made
            server.shutdown()
            server.server_close()
        finally:
            proxy.kill()


def handler(door: Door, port: int) -> type[BaseHTTPRequestHandler]:
    """Hands requests on to a port of this host."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            # Whoever was killed has closed its end.
            with contextlib.suppress(ConnectionError):
                super().handle_one_request()

        def do_any(self) -> None:
            line = f"{self.command} {self.path.partition('?')[0]}"
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command in WRITES and not _only_asks(line):
                answer = door.pass_on(line, lambda: self.send(given))
            else:
                answer = self.send(given)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Type", self.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

        def send(self, given: bytes) -> tuple[int, bytes]:
            headers = {name: text for name, text in self.headers.items() if name.lower() not in HOP_BY_HOP}
            headers["Accept-Encoding"] = "identity"
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, given or None, headers)
                answer = connection.getresponse()
                self.kind = answer.headers.get("Content-Type", "application/json")
                return answer.status, answer.read()

    return Handler


def _only_asks(line: str) -> bool:
    """Whether a POST changes nothing."""
    return "selfsubject" in line


def _kubeconfig(port: int) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "door", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "door", "context": {"cluster": "door"}}],
        "current-context": "door",
    }
