"""A writer whose acknowledged rows are kept outside of the hub, so that a lost one is noticed."""

from __future__ import annotations

import threading
from typing import Any

from tests.testbed import Hub, Rows

PREFIX = "ledger-"
SECONDS_BETWEEN_ROWS = 0.1


class Ledger:
    """Adds users through the hub's API, one after the other, until the hub stops answering.

    ``acknowledged`` are the names that the hub has confirmed; one more may be there.
    """

    def __init__(self, hub: Hub) -> None:
        self.acknowledged: list[str] = []
        self._hub = hub
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Ledger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def missing(self, rows: Rows) -> list[str]:
        """The users that the hub has confirmed and does not have any more."""
        there = {row["name"] for row in rows["users"]}
        return [f"users: {name}" for name in self.acknowledged if name not in there]

    def _write(self) -> None:
        number = 0
        while not self._end.wait(SECONDS_BETWEEN_ROWS):
            name = f"{PREFIX}{number:05}"
            if self._hub.api(f"/users/{name}", method="POST").status != 201:
                return
            self.acknowledged.append(name)
            number += 1


def without_ledger(rows: Rows) -> Rows:
    """The database as it would be had nobody written to it: without the ledger's users and what is theirs."""
    theirs = {row["id"] for row in rows["users"] if str(row["name"]).startswith(PREFIX)}

    def is_theirs(table: str, row: dict[str, Any]) -> bool:
        return (row["id"] if table == "users" else row.get("user_id")) in theirs

    return {table: [row for row in found if not is_theirs(table, row)] for table, found in rows.items()}
