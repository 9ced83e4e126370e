"""Observes a hub from outside, all the time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import NamedTuple

from .hub import PORT, Hub

INTERVAL_SECONDS = 0.02
#: What counts as an outage; a hub that serves may be slower once than it usually is.
SHORTEST_SILENCE_SECONDS = 1.0


class Sample(NamedTuple):
    """The version that the hub stated at a moment (of ``time.monotonic()``); None when it gave no answer."""

    moment: float
    version: str | None
    seconds: float
    """How long the answer took, or its absence."""


class Probe:
    """Requests a hub's version every 20 ms, in a thread of its own, while the ``with`` block lasts."""

    def __init__(self, hub: Hub, interval: float = INTERVAL_SECONDS) -> None:
        self.samples: list[Sample] = []
        self._hub = hub
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def downtime(self, old: str, new: str) -> float:
        """Seconds from the last answer of the old version to the first answer of the new one."""
        last_of_old = max(sample.moment for sample in self.samples if sample.version == old)
        later = [sample for sample in self.samples if sample.moment > last_of_old]
        return min(sample.moment for sample in later if sample.version == new) - last_of_old

    def outage_seconds(self) -> float:
        """From the last answer before the first silence to the first one after the last silence."""
        answered = [sample.moment for sample in self.samples if sample.version]
        silences = [
            (earlier, later)
            for earlier, later in zip(answered, answered[1:])
            if later - earlier > SHORTEST_SILENCE_SECONDS
        ]
        return round(silences[-1][1] - silences[0][0], 1) if silences else 0.0

    def longest_silence(self) -> float:
        """Seconds of the longest time between two answers, of whatever version."""
        answered = [sample.moment for sample in self.samples if sample.version]
        return max((later - earlier for earlier, later in zip(answered, answered[1:])), default=0.0)

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            asked = time.monotonic()
            version = self._ask()
            now = time.monotonic()
            self.samples.append(Sample(now, version, now - asked))
            due = max(due + self._interval, time.monotonic())
            self._end.wait(due - time.monotonic())

    def _ask(self) -> str | None:
        connection = http.client.HTTPConnection(self._hub.address, PORT, timeout=1)
        try:
            connection.request("GET", "/hub/api")
            answer = connection.getresponse()
            body = answer.read()
            return str(json.loads(body)["version"]) if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
