"""The hub's tables: what in them is users' data, and what a rehearsal takes out."""

from __future__ import annotations

from typing import Any

from .base import Keys

#: What identifies users, their rights and their tokens; no migration of JupyterHub's changes it.
KEYS = {
    "users": ("id", "name", "admin", "cookie_id", "encrypted_auth_state"),
    "groups": ("id", "name"),
    "user_group_map": ("user_id", "group_id"),
    "roles": ("id", "name"),
    "user_role_map": ("user_id", "role_id"),
    "group_role_map": ("group_id", "role_id"),
    "service_role_map": ("service_id", "role_id"),
    "services": ("id", "name", "admin"),
    "api_tokens": ("id", "hashed", "prefix", "user_id", "service_id", "expires_at"),
    "oauth_clients": ("identifier", "secret"),
    "spawners": ("id", "user_id", "name"),
    "shares": ("id", "user_id", "group_id", "owner_id", "spawner_id"),
}
#: Columns whose content may be shown in a message.
SHOWN = ("name", "identifier", "id", "user_id")

#: Single-user servers: a hub that finds them polls them, and may stop them. With what refers to them.
SERVERS = ("share_codes", "shares", "spawners", "servers")
REGISTERED_SERVERS = (
    "SELECT users.name, spawners.name FROM spawners JOIN users ON users.id = spawners.user_id "
    "WHERE spawners.server_id IS NOT NULL ORDER BY users.name, spawners.name"
)
SERVERS_OF_SERVICES = "UPDATE services SET _server_id = NULL"

#: What a fresh database takes over, and the columns of it that are left out: no server runs any more.
CARRIED = {
    "users": (),
    "groups": (),
    "user_group_map": (),
    "roles": (),
    "user_role_map": (),
    "group_role_map": (),
    "spawners": ("server_id", "started"),
}
#: What it does not take over, as an administrator knows it.
NOT_CARRIED = {
    "api_tokens": "API tokens and log-ins",
    "servers": "addresses of servers and services",
    "services": "services (the config's are made again)",
    "shares": "shares",
    "share_codes": "codes of shares",
}

#: What a serving hub writes by itself: its loss does not matter.
ACTIVITY = {"last_activity", "last_used"}
#: Servers come and go, and each version rewrites its clients and its own roles' scopes when it starts.
PASSING = {"alembic_version", "servers", "spawners", "oauth_clients", "oauth_codes", "api_token_role_map"}
BUILT_IN_ROLES = ("user", "admin", "server", "token")
#: Rows that belong to the hub, or to a server: table, column, and the condition on it.
NOT_PEOPLES = (
    ("roles", "name", f"name IN {BUILT_IN_ROLES}"),
    ("api_tokens", "note", "COALESCE(note, '') LIKE 'Server at %'"),
    ("api_tokens", "client_id", "COALESCE(client_id, 'jupyterhub') <> 'jupyterhub'"),
)
#: Columns that say when a row was made.
CREATED = ("created", "created_at")


def server_label(user: str, name: str) -> str:
    """The name of a user's server for people: ``ada``, or ``ada/gpu`` of a named one."""
    return f"{user}/{name}" if name else user


def compare(before: dict[str, Keys], after: dict[str, Keys], given_up: set[str]) -> list[str]:
    """What the rows of before are missing afterwards, a sentence for each table.

    ``given_up`` are tables whose rows a migration drops on purpose.
    """
    wrong = []
    for table, old in before.items():
        if table in given_up:
            continue
        new = after.get(table, Keys((), set()))
        kept = [column for column in old.columns if column in new.columns]
        gone = _project(old, kept) - _project(new, kept) if kept else old.rows
        lost = [column for column in old.columns if column not in new.columns]
        if lost and old.rows:
            wrong.append(f"{table} has no {', '.join(lost)} any more")
        elif gone:
            wrong.append(f"{len(gone)} rows of {table} are not what they were{_examples(kept, gone)}")
    return wrong


def _project(keys: Keys, columns: list[str]) -> set[tuple[Any, ...]]:
    places = [keys.columns.index(column) for column in columns]
    return {tuple(row[place] for place in places) for row in keys.rows}


def _examples(columns: list[str], rows: set[tuple[Any, ...]]) -> str:
    column = next((name for name in SHOWN if name in columns), None)
    if column is None:
        return ""
    values = sorted({str(row[columns.index(column)]) for row in rows})
    return f" ({column} {', '.join(values[:3])}{', ...' if len(values) > 3 else ''})"


def users_with_auth_state(count: int) -> str:
    """A query for names of users whose auth_state is kept: those that were active last, at most ``count``."""
    return (
        "SELECT name FROM users WHERE encrypted_auth_state IS NOT NULL "
        f"ORDER BY last_activity DESC LIMIT {int(count)}"
    )


def is_peoples(table: str, columns: set[str]) -> str:
    """A condition on rows of a table with these columns: they are user data, whose loss matters."""
    not_peoples = [rule for name, column, rule in NOT_PEOPLES if name == table and column in columns]
    return f"NOT ({' OR '.join(not_peoples)})" if not_peoples else "1 = 1"
