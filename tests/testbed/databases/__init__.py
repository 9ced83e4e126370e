"""Database servers for tests: ordinary processes of an unprivileged user, in folders of their own."""

from __future__ import annotations

from .postgresql import POSTGRESQL_15, POSTGRESQL_18, Postgresql
from .server import Server

__all__ = ["POSTGRESQL_15", "POSTGRESQL_18", "Postgresql", "Server"]
