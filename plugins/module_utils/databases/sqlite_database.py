"""SQLite as the hub's database: one file, with the journals beside it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import health, scratch_copies, sqlite, urls
from .base import Contents, Database, DatabaseCopy, DatabaseFacts, Keys


class SqliteDatabase(Database):
    """A SQLite file."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(
        cls, url: str, context: ExecutionContext, sqlalchemy: str, timeout: float
    ) -> DatabaseFacts | None:
        path = urls.resolve_sqlite(url, context.directory, sqlalchemy)
        return cls.at(path, url, context, timeout) if path else None

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
    def of(cls, facts: DatabaseFacts) -> SqliteDatabase:
        if facts.path is None:
            raise AssertionError("A SQLite database has a file.")
        return cls(Path(facts.path))

    @property
    def name(self) -> str:
        return str(self.path)

    def url(self, sqlalchemy: str) -> str:
        return urls.of_sqlite(self.path.resolve(), sqlalchemy)

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

    def has_user(self, name: str) -> bool:
        with sqlite.reading(self.path, timeout=10) as connection:
            return connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone() is not None

    def scratch(self, context: ExecutionContext) -> AbstractContextManager[Path]:
        return scratch_copies.scratch(self.path, context)

    @property
    def scratch_folder(self) -> Path:
        return scratch_copies.folder_of(self.path)

    def remove_scratch(self) -> None:
        scratch_copies.remove(self.path)

    def copy(self, scratch: Path, context: ExecutionContext, name: str) -> SqliteCopy:
        return SqliteCopy(scratch_copies.copy(self.path, scratch, context, name))


class SqliteCopy(SqliteDatabase, DatabaseCopy):
    """A copy of a SQLite file, for a rehearsal."""

    def keys(self) -> dict[str, Keys]:
        return scratch_copies.keys(self.path)

    def forget_servers(self) -> None:
        scratch_copies.forget_servers(self.path)

    def users_with_auth_state(self, count: int) -> list[str]:
        return scratch_copies.with_auth_state(self.path, count)
