"""Database: what every kind of hub database is for the rest of the collection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..system.execution_context import ExecutionContext


@dataclass(frozen=True)
class DatabaseFacts:
    """The hub's database, as far as it could be read."""

    kind: str
    """``sqlite``; ``other`` where it is none that can be upgraded."""
    url: str
    """The config's, with passwords replaced by ***."""
    path: str | None = None
    """Its file, absolute; None where it has none."""
    exists: bool = False
    bytes: int | None = None
    revision: str | None = None
    rows: dict[str, int] | None = None
    """Number of rows of each table."""
    problem: str | None = None
    """Why it could not be read; then nothing below is known."""
    journal_mode: str | None = None
    file_system: str | None = None
    writable: dict[str, bool] | None = None
    """Whether the hub's user may write its files and their folder."""
    damage: str | None = None
    """What the database's own check says; None where it is whole, or the check takes too long."""
    broken_references: dict[str, int] = field(default_factory=dict)
    """Rows that refer to a row that does not exist, by table."""
    revisions: int = 0
    """How many it is stamped with: one, where it is a hub's."""
    ahead: list[str] = field(default_factory=list)
    """Columns, as ``table.column``, of later revisions than its own."""
    servers: int = 0
    server_names: list[str] = field(default_factory=list)
    """Of named servers."""
    encrypted: int = 0
    """Users with auth_state."""


class Contents(NamedTuple):
    """What a database holds, read in one transaction."""

    revision: str | None
    """Alembic's; None where no hub has stamped it."""
    rows: dict[str, int]
    """Number of rows of each table."""


class Keys(NamedTuple):
    """The key columns of one table that a database has, and their content."""

    columns: tuple[str, ...]
    rows: set[tuple[Any, ...]]


class Database(ABC):
    """One database of a hub."""

    #: As in `DatabaseFacts`.
    kind: str

    @classmethod
    @abstractmethod
    def find(
        cls, url: str, context: ExecutionContext, sqlalchemy: str, timeout: float
    ) -> DatabaseFacts | None:
        """The database of a hub's config, None where ``url`` is of another kind.

        ``context`` is the hub's, ``sqlalchemy`` the version that it has. One that is missing, locked or
        damaged is no error: the facts say so. ``timeout`` is in seconds, for each lock.
        """

    @classmethod
    @abstractmethod
    def of(cls, facts: DatabaseFacts) -> Database:
        """The database that `find` has found."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it: without passwords."""

    @abstractmethod
    def url(self, sqlalchemy: str) -> str:
        """Where programs in an environment with this version of SQLAlchemy find it; may hold a password."""

    @abstractmethod
    def contents(self, timeout: float = 10) -> Contents:
        """Read it, and write nothing.

        ``timeout`` is the number of seconds to wait for a lock. Raises HubError when there is no such
        database, or it cannot be read.
        """

    @abstractmethod
    def progress(self) -> object:
        """Something that is another whenever a migration has got on."""

    @abstractmethod
    def has_user(self, name: str) -> bool:
        """Whether the hub has a user of this name. Raises HubError as `contents`."""

    @abstractmethod
    def scratch(self, context: ExecutionContext) -> AbstractContextManager[Path]:
        """A folder of the hub's user for a rehearsal, empty at first; it is gone afterwards, with all copies.

        Raises HubError when it cannot be made, and when another rehearsal, not a killed one, has it.
        """

    @property
    @abstractmethod
    def scratch_folder(self) -> Path:
        """The folder that `scratch` makes: always the same, so that nothing can pile up."""

    @abstractmethod
    def remove_scratch(self) -> None:
        """Remove what a rehearsal that was killed has left. Raises HubError when one is at work."""

    @abstractmethod
    def copy(self, scratch: Path, context: ExecutionContext, name: str) -> DatabaseCopy:
        """Copy it for a rehearsal, while it is in use; the hub's user may write the copy.

        ``name`` tells one copy in the same ``scratch`` from another.
        """


class DatabaseCopy(Database):
    """A copy that a rehearsal works on."""

    @abstractmethod
    def keys(self) -> dict[str, Keys]:
        """The key columns of what no migration may change, by table; what it does not have is left out."""

    @abstractmethod
    def forget_servers(self) -> None:
        """Take single-user servers out of it: a hub that knows of one asks after it, and may stop it."""

    @abstractmethod
    def users_with_auth_state(self, count: int) -> list[str]:
        """Names of users whose auth_state is kept, those that were active last; at most ``count``."""
