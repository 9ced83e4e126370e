"""A hub's address, asked from outside every 20 ms."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

INTERVAL_SECONDS = 0.02


class Sample(NamedTuple):
    """What one request was answered; ``status`` is 0 where the connection was refused or broke."""

    path: str
    status: int
    body: str
    headers: dict[str, str]


@contextmanager
def watching(port: int, *paths: str) -> Iterator[list[Sample]]:
    """Requests these paths every 20 ms, as a browser and as a program do, for the time of the block."""
    samples: list[Sample] = []
    end = threading.Event()

    def ask(path: str) -> Sample:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path, headers={"Accept": "text/html,*/*"})
            answer = connection.getresponse()
            return Sample(path, answer.status, answer.read().decode(), dict(answer.getheaders()))
        except (OSError, http.client.HTTPException) as error:
            return Sample(path, 0, repr(error), {})
        finally:
            connection.close()

    def watch(path: str) -> None:
        while not end.wait(INTERVAL_SECONDS):
            samples.append(ask(path))

    threads = [threading.Thread(target=watch, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield samples
    finally:
        end.set()
        for thread in threads:
            thread.join()


def refused(samples: list[Sample]) -> list[Sample]:
    """Requests whose connection was refused: a request that was under way when a proxy ended has broken."""
    return [sample for sample in samples if "ConnectionRefused" in sample.body and not sample.status]
