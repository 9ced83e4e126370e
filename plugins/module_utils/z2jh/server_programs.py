"""Which kinds of servers there is a program for."""

from __future__ import annotations

from ..databases import urls
from .mysql_program import MysqlProgram
from .postgresql_program import PostgresqlProgram
from .server_program import ServerProgram

KINDS: tuple[ServerProgram, ...] = (PostgresqlProgram(), MysqlProgram())


def program_of(url: str) -> ServerProgram | None:
    """The program for the database that a URL names; None where there is none."""
    if "://" not in url:
        return None
    dialect = urls.parse(url).dialect
    return next((each for each in KINDS if dialect in each.dialects), None)
