"""A package index that counts: every request is passed on to PyPI, pages and files alike."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGES, FILES = "https://pypi.org", "https://files.pythonhosted.org"


@dataclass(frozen=True)
class Answer:
    """What was asked for, and how long the answer was; ``whole`` is one that is no part of a file."""

    path: str
    bytes: int
    whole: bool


@dataclass
class CountedIndex:
    """The index's address, and its answers so far."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)

    @property
    def wheels(self) -> list[str]:
        """Names of the wheels that were downloaded, as often as they were."""
        return [each.path.rpartition("/")[2] for each in self.answers if each.whole and _is_wheel(each)]

    @property
    def bytes(self) -> int:
        """Of all answers."""
        return sum(each.bytes for each in self.answers)


def _is_wheel(answer: Answer) -> bool:
    return answer.path.endswith(".whl")


@contextlib.contextmanager
def counted_index() -> Iterator[CountedIndex]:
    """A running index on a port of the loopback interface."""
    index = CountedIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_HEAD(self) -> None:
            self._pass_on()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

        def _pass_on(self) -> None:
            of_file = self.path.startswith("/packages/")
            wanted = {name: self.headers[name] for name in ("Accept", "Range") if name in self.headers}
            asked = urllib.request.Request(
                (FILES if of_file else PAGES) + self.path, headers=wanted, method=self.command
            )
            try:
                with urllib.request.urlopen(asked, timeout=120) as answer:
                    status, body, headers = answer.status, answer.read(), answer.headers
            except urllib.error.HTTPError as error:
                status, body, headers = error.code, error.read(), error.headers
            if not of_file:
                body = body.replace(FILES.encode(), index.url.encode())
            self.send_response(status)
            for name in ("Content-Type", "Content-Range", "Accept-Ranges"):
                if name in headers:
                    self.send_header(name, headers[name])
            length = headers["Content-Length"] if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(length))
            try:
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                return  # Whoever asked has given up, and asks again.
            index.answers.append(Answer(self.path, len(body), self.command == "GET" and status == 200))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
