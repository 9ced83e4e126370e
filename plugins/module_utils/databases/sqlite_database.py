"""SQLite as the hub's database: one file, with the journals beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from ..errors import HubError
from ..system import files
from ..system.execution_context import ExecutionContext
from . import comparison, health, hub_tables, scratch_copies, scratch_folders, sqlite, sqlite_backups, urls
from .access import Access, DatabaseConfig
from .base import Contents, Database, DatabaseCopy, Keys, Since
from .facts import DatabaseBackup, DatabaseFacts


class SqliteDatabase(Database):
    """A SQLite file."""

    kind = "sqlite"
    needs_access = False

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(
        cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str, timeout: float
    ) -> DatabaseFacts | None:
        path = urls.resolve_sqlite(config.url, context.inside(context.directory), sqlalchemy)
        return cls.at(Path(context.kept(str(path))), config.url, context, timeout) if path else None

    @classmethod
    def access_of(cls, config: DatabaseConfig, context: ExecutionContext, sqlalchemy: str) -> None:
        return None

    @classmethod
    def at(cls, path: Path, url: str, context: ExecutionContext, timeout: float) -> DatabaseFacts:
        """What is known of a file, whatever the hub's config says."""
        facts = DatabaseFacts(
            kind=cls.kind,
            url=urls.mask(url),
            path=str(path),
            exists=path.exists(),
            bytes=path.stat().st_size if path.exists() else None,
            **health.place(path, context),
        )
        try:
            read = sqlite.inspect(path, timeout)
            facts = replace(facts, revision=read.revision, journal_mode=read.journal_mode, rows=read.rows)
            return replace(facts, **health.examine(path, read.revision, timeout))
        except HubError as error:
            return replace(facts, problem=str(error))

    @classmethod
    def of(cls, facts: DatabaseFacts, access: Access | None) -> SqliteDatabase:
        if facts.path is None:
            raise AssertionError("A SQLite database has a file.")
        return cls(Path(facts.path))

    @property
    def name(self) -> str:
        return str(self.path)

    def url(self, sqlalchemy: str) -> str:
        return urls.of_sqlite(self.path.resolve(), sqlalchemy)

    def wait(self, seconds: float) -> None:
        """A file is there at once."""

    def contents(self, timeout: float = 10) -> Contents:
        found = sqlite.inspect(self.path, timeout)
        return Contents(found.revision, found.rows)

    def progress(self) -> object:
        real = self.path.resolve()
        found = []
        for path in (real, *(real.with_name(real.name + suffix) for suffix in sqlite.SIDECARS)):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_size, status.st_mtime_ns))
        return found

    def users(self) -> set[str]:
        with sqlite.reading(self.path, timeout=10) as connection:
            return {str(name) for (name,) in connection.execute("SELECT name FROM users")}

    def servers(self) -> list[str]:
        with sqlite.reading(self.path, timeout=10) as connection:
            return [
                hub_tables.server_label(*row) for row in connection.execute(hub_tables.REGISTERED_SERVERS)
            ]

    def scratch(self, context: ExecutionContext) -> AbstractContextManager[Path]:
        return scratch_folders.scratch(self.scratch_folder, context)

    @property
    def scratch_folder(self) -> Path:
        return scratch_copies.folder_of(self.path)

    def remove_scratch(self) -> None:
        scratch_folders.remove(self.scratch_folder)

    def copy(self, scratch: Path, context: ExecutionContext, name: str) -> SqliteCopy:
        return SqliteCopy(scratch_copies.copy(self.path, scratch, context, name))

    def exists(self) -> bool:
        return self.path.is_file()

    def back_up(self, folder: Path, timeout: float) -> DatabaseBackup:
        return sqlite_backups.make(self.path, folder, self.kind, timeout)

    def end_sessions(self) -> list[str]:
        """A file has none."""
        return []

    def prepare_seal(self, folder: Path, backup: DatabaseBackup) -> None:
        sqlite_backups.prepare_seal(folder, backup)

    def seal(self, folder: Path, backup: DatabaseBackup, timeout: float) -> DatabaseBackup:
        return sqlite_backups.seal(self.path, folder, backup, timeout)

    def remove_other_copies(self, folder: Path, backup: DatabaseBackup) -> None:
        sqlite_backups.remove_other_copies(folder, backup)

    def discard(self, folder: Path, backup: DatabaseBackup) -> None:
        """All is in the folder."""

    def is_as_backed_up(self, backup: DatabaseBackup) -> bool:
        return sqlite_backups.is_as_backed_up(self.path, backup)

    def restore(self, folder: Path, backup: DatabaseBackup, aside: Path) -> None:
        sqlite.place(folder / backup.file, self.path, aside)

    def has_owner_of(self, backup: DatabaseBackup) -> bool:
        return files.is_owned(self.path, *sqlite_backups.ownership(backup))

    def give_owner_of(self, backup: DatabaseBackup) -> None:
        files.own(self.path, *sqlite_backups.ownership(backup))

    def space_for_restore(self, backup: DatabaseBackup) -> tuple[Path, int] | None:
        real = self.path.resolve()
        return real, max(backup.bytes, real.stat().st_size if real.exists() else 0)

    def reserve(self) -> None:
        """A restore needs space on this host alone."""

    def release_reserve(self) -> None:
        """Nothing to do, as above."""

    def prove(self, folder: Path, backup: DatabaseBackup) -> Contents:
        found = sqlite.prove(folder / backup.file)
        return Contents(found.revision, found.rows)

    @contextlib.contextmanager
    def restored_copy(
        self, folder: Path, backup: DatabaseBackup, context: ExecutionContext
    ) -> Iterator[Database]:
        with sqlite_backups.restored_copy(self.path, folder, backup, context) as copy:
            yield SqliteDatabase(copy)

    def since(self, folder: Path, backup: DatabaseBackup) -> Since:
        return comparison.since(folder / backup.file, self.path)


class SqliteCopy(SqliteDatabase, DatabaseCopy):
    """A copy of a SQLite file, for a rehearsal."""

    def keys(self) -> dict[str, Keys]:
        return scratch_copies.keys(self.path)

    def forget_servers(self) -> None:
        scratch_copies.forget_servers(self.path)

    def users_with_auth_state(self, count: int) -> list[str]:
        return scratch_copies.with_auth_state(self.path, count)
