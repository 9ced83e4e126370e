"""Progress: lines about the current work for the waiting administrator, at most about one a second."""

from __future__ import annotations

import time
from pathlib import Path

SECONDS_BETWEEN_COUNTS = 1.0


class Progress:
    """Writes lines to a file that another process reads while this one works; without a file, nowhere."""

    def __init__(self, file: str | None = None) -> None:
        self._file = Path(file) if file else None
        self._counted_at = 0.0
        if self._file:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600)

    def __call__(self, line: str) -> None:
        """Tell that something begins or has been done."""
        if self._file:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def count(self, line: str, done: int, total: int) -> None:
        """Tell how far something with a known number of parts is; all but one call a second are silent."""
        now = time.monotonic()
        if now - self._counted_at >= SECONDS_BETWEEN_COUNTS:
            self._counted_at = now
            self(f"{line}: {done:,} of {total:,}")
