"""A hub's address, asked from outside every 20 ms."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

INTERVAL_SECONDS = 0.02


class Sample(NamedTuple):
    """What one request was answered, and when, in seconds of the monotonic clock.

    ``status`` is 0 where the connection was refused or broke.
    """

    path: str
    status: int
    body: str
    headers: dict[str, str]
    began: float
    ended: float


@contextmanager
def watching(port: int, *paths: str) -> Iterator[list[Sample]]:
    """Requests these paths every 20 ms, as a browser and as a program do, for the time of the block."""
    samples: list[Sample] = []
    end = threading.Event()

    def ask(path: str) -> Sample:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        began = time.monotonic()
        try:
            connection.request("GET", path, headers={"Accept": "text/html,*/*"})
            answer = connection.getresponse()
            body, headers = answer.read().decode(), dict(answer.getheaders())
            return Sample(path, answer.status, body, headers, began, time.monotonic())
        except (OSError, http.client.HTTPException) as error:
            return Sample(path, 0, repr(error), {}, began, time.monotonic())
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
