"""Row by row: what a database holds, and what of it is missing in another, perhaps of a newer schema.

On the hub's host it is a script: ``python3 - DATABASE < rows.py`` prints all rows of all tables as JSON; the
database is a file, or one of this host's server, as in ``postgresql:jupyterhub``.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

# Table name to its rows, each a mapping of column to value.
Rows = Dict[str, List[Dict[str, Any]]]

# A serving hub writes these by itself: times of activity, and the servers that come and go with their tokens.
# The state of a user is its server's of long ago; today's hubs empty it, NULL to {}, when a server stops.
VOLATILE_COLUMNS = {"last_activity", "last_used", "state"}
VOLATILE_TABLES = {"alembic_version", "servers", "spawners", "oauth_codes"}
# Every version redefines its own roles when it starts; that they are there is what counts.
BUILT_IN_ROLES = {"user", "admin", "server", "token"}
# JupyterHub 3 turns the roles of a token into scopes; whether the token still opens the same doors is for the
# hub's API to say.
RESHAPED_TABLES = {"api_token_role_map"}


def lost_rows(before: Rows, after: Rows) -> list[str]:
    """The rows of ``before`` that ``after`` does not have, compared by the columns that both know.

    A table that ``after`` no longer has counts as lost, unless it was empty. Tokens that the hub made for a
    running server, or for a log-in to one, belong to that server and are left out.
    """
    lost = []
    kept_after = _lasting(after)
    for table, rows in _lasting(before).items():
        if rows and table not in after:
            lost.append(f"{table}: no such table")
        elif rows:
            known = {column for row in kept_after[table] for column in row}
            present = [set(map(repr, row.items())) for row in kept_after[table]]
            for row in rows:
                wanted = {repr(item) for item in row.items() if item[0] in known}
                if not any(wanted <= found for found in present):
                    lost.append(f"{table}: {row}")
    return lost


def fingerprint(rows: Rows) -> dict[str, Any]:
    """Schema revision, and number and hash of each table's rows, without what a hub changes by itself."""
    tables = {
        table: {
            "rows": len(content),
            "sha256": hashlib.sha256("\n".join(sorted(map(repr, content))).encode()).hexdigest(),
        }
        for table, content in _lasting(rows).items()
    }
    return {"revision": rows["alembic_version"][0]["version_num"], "tables": tables}


def _lasting(rows: Rows) -> Rows:
    """The tables, rows and columns that a serving hub leaves alone."""
    return {
        table: [_lasting_part(table, row) for row in content if not _belongs_to_a_server(table, row)]
        for table, content in rows.items()
        if table not in VOLATILE_TABLES | RESHAPED_TABLES
    }


def _lasting_part(table: str, row: dict[str, Any]) -> dict[str, Any]:
    if table == "roles" and row["name"] in BUILT_IN_ROLES:
        return {"id": row["id"], "name": row["name"]}
    return {column: value for column, value in row.items() if column not in VOLATILE_COLUMNS}


def _belongs_to_a_server(table: str, row: dict[str, Any]) -> bool:
    if table == "api_tokens":
        return str(row["note"]).startswith("Server at ") or row["client_id"] != "jupyterhub"
    return table in {"oauth_clients", "oauth_code"} and str(row["identifier"]) != "jupyterhub"


def main() -> None:
    product, _, name = sys.argv[1].rpartition(":")
    of_server = {"postgresql": of_postgresql, "mysql": of_mysql}.get(product)
    content = of_server(name) if of_server else of_sqlite(Path(name))
    json.dump(content, sys.stdout, default=lambda value: value.hex())


def of_sqlite(path: Path) -> Rows:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in tables}


def of_postgresql(database: str) -> Rows:
    """Whatever is in the schema ``public``, as the server's superuser sees it."""

    def ask(query: str) -> str:
        argv = [*("runuser", "-u", "postgres", "--", "psql", "-XqAt", "-d", database, "-c", query)]
        return subprocess.check_output(argv, encoding="utf-8", cwd="/")

    tables = ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").split()
    return {
        name: json.loads(ask(f"SELECT coalesce(json_agg(t), '[]') FROM public.\"{name}\" t"))
        for name in tables
    }


def of_mysql(database: str) -> Rows:
    """Whatever has rows, as the server's superuser sees it."""

    def ask(query: str) -> list[str]:
        argv = ["mariadb", "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4"]
        return subprocess.check_output([*argv, database, "--execute", query], encoding="utf-8").splitlines()

    columns: dict[str, list[str]] = {}
    for line in ask(
        "SELECT t.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE FROM information_schema.TABLES t "
        "JOIN information_schema.COLUMNS c USING (TABLE_SCHEMA, TABLE_NAME) "
        "WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' ORDER BY 1, c.ORDINAL_POSITION"
    ):
        table, column, kind = line.split("\t")
        value = f"HEX(`{column}`)" if kind.endswith("blob") else f"`{column}`"
        columns.setdefault(table, []).append(f"'{column}', {value}")
    return {
        table: [json.loads(row) for row in ask(f"SELECT JSON_OBJECT({', '.join(values)}) FROM `{table}`")]
        for table, values in columns.items()
    }


if __name__ == "__main__":
    main()
