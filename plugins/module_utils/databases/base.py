"""Database: what every kind of hub database is for the rest of the collection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from ..system.execution_context import ExecutionContext
from .access import Access, DatabaseConfig
from .facts import DatabaseBackup, DatabaseFacts

#: Names of new users that are shown; a module's result is no place for thousands.
MOST_NAMES = 50


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


class TableChange(NamedTuple):
    """One table's rows: how many there are now, were then, are new since, and have another content."""

    now: int
    then: int
    new: int
    changed: int


class Since(NamedTuple):
    """What was written since a copy was made."""

    tables: dict[str, TableChange]
    """Tables of which any figure has changed."""
    users: list[str]
    """The first names that the copy does not know."""
    tokens: int
    """API tokens of users that the copy does not have."""
    newest: dict[str, str]
    """When the newest row of a table was made, for tables that tell and have new ones."""
    lost: bool
    """Whether restoring the copy would lose a row, or a change in one."""

    @classmethod
    def of(cls, tables: dict[str, TableChange], users: list[str], newest: dict[str, str]) -> Since:
        """What the changes of all tables amount to; ``users`` and ``newest`` as above, of any length."""
        changed = {
            name: change
            for name, change in tables.items()
            if change.new or change.changed or change.now != change.then
        }
        return cls(
            tables=changed,
            users=users[:MOST_NAMES],
            tokens=tables["api_tokens"].new if "api_tokens" in tables else 0,
            newest={name: moment for name, moment in newest.items() if moment},
            lost=any(change.new or change.changed for change in changed.values()),
        )

    def described(self) -> dict[str, Any]:
        """The shape that a module returns: ``{tables, users, tokens, newest}``."""
        tables = {name: change._asdict() for name, change in self.tables.items()}
        return {"tables": tables, "users": self.users, "tokens": self.tokens, "newest": self.newest}


NOTHING = Since({}, [], 0, {}, False)


class Database(ABC):
    """One database of a hub."""

    #: As in `DatabaseFacts`.
    kind: str
    #: Whether programs need an `Access`, beyond the facts, to reach it.
    needs_access: bool
    #: Seconds after which a hub that serves sees what another program has written.
    seen_within: float = 0

    @classmethod
    @abstractmethod
    def find(
        cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str, timeout: float
    ) -> DatabaseFacts | None:
        """The database of a hub's config, None where its URL is of another kind.

        ``context`` is the hub's, ``sqlalchemy`` the version that it has. One that is missing, locked or
        damaged is no error: the facts say so. ``timeout`` is in seconds, for each lock.
        """

    @classmethod
    @abstractmethod
    def access_of(cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> Access | None:
        """How programs reach the database of a hub's config; None where this kind needs no access."""

    @classmethod
    @abstractmethod
    def of(cls, facts: DatabaseFacts, access: Access | None) -> Database:
        """The database that `find` has found."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in messages, without passwords."""

    @abstractmethod
    def url(self, sqlalchemy: str) -> str:
        """Where programs in an environment with this version of SQLAlchemy find it; may hold a password."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait until it can be reached, such as while its server starts. Raises HubError when it cannot."""

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
    def users(self) -> set[str]:
        """The names of the hub's users. Raises HubError as `contents`."""

    @abstractmethod
    def servers(self) -> list[str]:
        """The names of users' servers that are registered as running, ``ada`` or ``ada/gpu``; as `users`."""

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

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything of it on the host."""

    @abstractmethod
    def back_up(self, folder: Path, timeout: float) -> DatabaseBackup:
        """Copy it into the folder of a recovery point, while the hub writes to it.

        ``timeout`` is the number of seconds to wait for a lock, here as below. Raises HubError when it cannot
        be read, or the folder has no space.
        """

    @abstractmethod
    def end_sessions(self) -> list[str]:
        """End the sessions of others, now that the hub has stopped; who they were.

        Those that may not be ended remain, and are in the way as before. Raises HubError as `contents`.
        """

    @abstractmethod
    def prepare_seal(self, folder: Path, backup: DatabaseBackup) -> None:
        """Do beforehand, while the hub serves, what `seal` would otherwise do within the outage."""

    @abstractmethod
    def seal(self, folder: Path, backup: DatabaseBackup, timeout: float) -> DatabaseBackup:
        """Copy it once more, now that the hub has stopped, beside the earlier copy."""

    @abstractmethod
    def remove_other_copies(self, folder: Path, backup: DatabaseBackup) -> None:
        """Remove from the folder of a recovery point the copy that ``backup`` is not (any more)."""

    @abstractmethod
    def discard(self, folder: Path, backup: DatabaseBackup) -> None:
        """Remove what a recovery point, which is about to be removed, has outside of its folder."""

    @abstractmethod
    def is_as_backed_up(self, backup: DatabaseBackup) -> bool:
        """Whether it is unchanged since its backup, or is the restored copy itself."""

    @abstractmethod
    def restore(self, folder: Path, backup: DatabaseBackup, aside: Path) -> None:
        """Put the copy in its place; may be interrupted and repeated.

        What stood there goes into the folder ``aside``, or to where `discard` finds it.
        """

    @abstractmethod
    def has_owner_of(self, backup: DatabaseBackup) -> bool:
        """Whether it belongs to whom, and is open to whom, it was when it was backed up."""

    @abstractmethod
    def give_owner_of(self, backup: DatabaseBackup) -> None:
        """Have it belong to whom, and be open to whom, it was when it was backed up."""

    @abstractmethod
    def space_for_restore(self, backup: DatabaseBackup) -> tuple[Path, int] | None:
        """The path beside which a restore needs space, and how many bytes; None where it needs none here."""

    @abstractmethod
    def reserve(self) -> None:
        """Take the space that a restore needs elsewhere than on this host. HubError where there is none."""

    @abstractmethod
    def release_reserve(self) -> None:
        """Release it, if it was taken and that is possible now."""

    @abstractmethod
    def prove(self, folder: Path, backup: DatabaseBackup) -> Contents:
        """Read the copy from end to end. Raises HubError when it is damaged."""

    @abstractmethod
    def restored_copy(
        self, folder: Path, backup: DatabaseBackup, context: ExecutionContext
    ) -> AbstractContextManager[Database]:
        """The copy restored for a test, where the hub's user can open it; it is gone afterwards."""

    @abstractmethod
    def since(self, folder: Path, backup: DatabaseBackup) -> Since:
        """What was written to it since it was backed up. Raises HubError when that cannot be determined."""


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
