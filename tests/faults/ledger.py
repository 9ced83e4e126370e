"""A writer whose acknowledged rows are kept outside of the hub, so that a lost one is noticed."""

from __future__ import annotations

import http.client
import json
import threading
import time

from tests.testbed import Hub, Rows
from tests.testbed.hub import PORT

PREFIX = "ledger-"
#: Users that the faults leave alone. Each call writes a group and all of them into it: ten rows.
MEMBERS = tuple(f"user-{number}" for number in range(190, 199))
ROWS_PER_CALL = 1 + len(MEMBERS)
#: 150 rows a second, which leaves the upgrade half of a small machine.
CALLS_PER_SECOND = 15
#: 50 rows a second, where several hubs share it.
FEW_CALLS_PER_SECOND = 5


class Ledger:
    """Adds groups of users through the hub's API, one after the other, until the hub stops answering.

    ``acknowledged`` are the names of the groups that the hub has confirmed; one more may be there.
    """

    def __init__(self, hub: Hub, calls_per_second: int = CALLS_PER_SECOND) -> None:
        self.acknowledged: list[str] = []
        self._hub = hub
        self._pause = 1 / calls_per_second
        self._seconds = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Ledger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def rows_per_second(self) -> float:
        """How many rows the hub has confirmed, over the time from the first call to the last answer."""
        return round(len(self.acknowledged) * ROWS_PER_CALL / self._seconds, 1) if self._seconds else 0.0

    def missing(self, rows: Rows) -> list[str]:
        """The rows that the hub has confirmed and does not have any more."""
        groups = {row["name"]: row["id"] for row in rows["groups"]}
        users = {row["name"]: row["id"] for row in rows["users"]}
        pairs = {(row["user_id"], row["group_id"]) for row in rows["user_group_map"]}
        lost = [f"groups: {name}" for name in self.acknowledged if name not in groups]
        return lost + [
            f"user_group_map: {member} in {name}"
            for name in self.acknowledged
            for member in MEMBERS
            if (users.get(member), groups.get(name)) not in pairs
        ]

    def _write(self) -> None:
        connection = http.client.HTTPConnection(self._hub.address, PORT, timeout=30)
        headers = {"Authorization": "token token-of-admin"}
        body = json.dumps({"users": MEMBERS})
        begun = due = time.monotonic()
        while not self._end.wait(due - time.monotonic()):
            name = f"{PREFIX}{len(self.acknowledged):05}"
            try:
                connection.request("POST", f"/hub/api/groups/{name}", body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                break
            if answer.status != http.client.CREATED:
                break
            self.acknowledged.append(name)
            self._seconds = time.monotonic() - begun
            due = max(due + self._pause, time.monotonic())
        connection.close()


def without_ledger(rows: Rows) -> Rows:
    """The database without the writer's changes: without the ledger's groups and their members."""
    theirs = {row["id"] for row in rows["groups"] if str(row["name"]).startswith(PREFIX)}
    return {
        **rows,
        "groups": [row for row in rows["groups"] if row["id"] not in theirs],
        "user_group_map": [row for row in rows["user_group_map"] if row["group_id"] not in theirs],
    }
