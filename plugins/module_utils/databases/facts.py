"""Facts about a database and its copies, for code that does not open them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ServerFacts:
    """What is known of the server that a database belongs to, and of this host's clients for it."""

    product: str
    """``PostgreSQL``, ``MariaDB`` or ``MySQL``."""
    version: str = ""
    """Empty where it could not be asked."""
    clients: dict[str, str] = field(default_factory=dict)
    """Versions of the client programs on this host, by name; '' where one is missing."""
    package: str = ""
    """Debian's, that has these programs."""
    clients_too_old: bool = False
    """Whether they refuse this server."""
    no_copies: str = ""
    """What the server's administrator has to run so that it can be copied; '' where it can be."""
    by_copy: bool | None = None
    """Whether the stopped hub's database is backed up as a database on the server, and not as a dump.

    None where the server can only make dumps.
    """
    sessions: list[str] = field(default_factory=list)
    """Of others that are connected to the database: program, user, what they do."""
    may_end_sessions: bool = False
    """Whether these could be ended."""
    views: list[str] = field(default_factory=list)
    """Views of others on the hub's tables."""
    foreign_tables: list[str] = field(default_factory=list)
    """Tables of the hub that belong to another role."""
    no_restore: str = ""
    """What an administrator has to run so that all of it can be dumped and restored; '' as above."""
    foreign_triggers: list[str] = field(default_factory=list)
    """Triggers of other users, with these, that the hub's could not make again."""
    unsafe_tables: dict[str, str] = field(default_factory=dict)
    """Tables whose engine has no transactions, with its name."""


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
    server: ServerFacts | None = None
    """The server that has it; None for a file."""
    driver: str = ""
    """The one that the URL names, ``psycopg2``; '' where SQLAlchemy chooses."""
    copies_file: str = ""
    """Of the host: with whose access it is copied; '' where with the hub's own."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.path or self.url


@dataclass(frozen=True)
class DatabaseBackup:
    """A copy of a hub's database in a recovery point."""

    kind: str
    """As in `DatabaseFacts`."""
    name: str
    """The database's name in messages."""
    file: str
    """Of the copy, within the recovery point."""
    sha256: str
    bytes: int
    revision: str | None
    rows: dict[str, int]
    """Number of rows of each table."""
    sealed: bool
    """Whether it was made after the hub had stopped, so that no row is missing."""
    particulars: dict[str, Any]
    """What only this kind of database needs to be again as it was."""
