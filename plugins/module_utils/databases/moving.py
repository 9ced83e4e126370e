"""Moving a hub's database: its rows are copied to another one, and compared, by the hub's own Python.

The programs in the hub's environment read and write both databases through SQLAlchemy, as the hub does: what
they find equal is equal for the hub. While a move is under way, the new database has a mark, and only what a
marked database says was made by the move is removed from it.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import urls
from .copier import Copier
from .hub_tables import SERVERS

LOOK_SECONDS = 60.0


class Content(NamedTuple):
    """What programs of the hub's find in a database."""

    tables: list[str]
    views: list[str]
    owner: str | None
    """Whose move to it is under way, or was cut off."""


class Copied(NamedTuple):
    """What a copy has taken."""

    rows: dict[str, int]
    """Number of rows of each table."""
    copy_seconds: float
    compare_seconds: float


@dataclass(frozen=True)
class Target:
    """The database that a hub is moved to, as the programs in the hub's environment reach it."""

    url: str = field(repr=False)
    owner: str
    """Of the mark: which hub is moved there."""
    environment: str
    context: ExecutionContext

    def look(self, url: str = "") -> Content:
        """What is in it, or in the database at ``url``.

        Raises HubError when it cannot be reached, or the driver that the URL names is not installed.
        """
        found = self._ask(LOOK_SECONDS, do="look", url=url or self.url)
        return Content(found["tables"], found["views"], found["owner"])

    def fill(
        self, source: str, timeout: float, progress: Callable[[str], None] = lambda line: None
    ) -> Copied:
        """Copy all rows of the database at the URL ``source``, which nobody writes, and compare both.

        What an earlier move of the same hub has left is removed first. ``timeout`` is in seconds, for both.
        Raises HubError when the new database is not empty, a row cannot be copied, or one differs afterwards.
        """
        deadline = time.monotonic() + timeout
        began = time.monotonic()
        arguments = {"source": source, "target": self.url, "owner": self.owner}
        copied = self._ask(timeout, progress, do="copy", **arguments)
        compared = time.monotonic()
        self.require_equal(source, deadline - compared)
        return Copied(copied["rows"], round(compared - began, 3), round(time.monotonic() - compared, 3))

    def require_equal(self, source: str, timeout: float) -> None:
        """Raise HubError that names the tables whose rows differ, and how many each database has."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            digests = [
                pool.submit(self._ask, timeout, do="digest", url=url, like=self.url)
                for url in (source, self.url)
            ]
            then, now = (each.result()["tables"] for each in digests)
        different = [
            f"{table} ({rows['rows']} rows and {now.get(table, {}).get('rows', 0)})"
            for table, rows in sorted(then.items())
            if now.get(table) != rows
        ]
        if different:
            raise HubError(
                f"The rows in {self.name} are not those of the old database: {', '.join(different)}.",
                "Report it as an error of the collection; the hub keeps the old database.",
            )

    def forget_servers(self) -> None:
        """Take single-user servers out of the copy, as `DatabaseCopy.forget_servers` does."""
        tables = list(SERVERS)
        self._ask(LOOK_SECONDS, do="forget servers", url=self.url, tables=tables, owner=self.owner)

    def empty(self) -> list[str]:
        """Remove what the move has made; the names of the tables that are gone. Raises HubError."""
        return list(self._ask(LOOK_SECONDS, do="empty", url=self.url, owner=self.owner)["tables"])

    def release(self) -> None:
        """Remove the mark: from here on nothing is removed any more. Raises HubError."""
        self._ask(LOOK_SECONDS, do="release", url=self.url, owner=self.owner)

    @property
    def name(self) -> str:
        """In messages, without passwords."""
        return urls.mask(self.url)

    def _ask(
        self, timeout: float, progress: Callable[[str], None] = lambda line: None, **request: Any
    ) -> dict[str, Any]:
        return Copier(self.environment, self.context).ask(self.url, timeout, progress, **request)
