"""What the hub says of itself and what its database holds, before and after."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hub import Browser, Hub, Refused
from machine import CHECKOUT


def take(hub: Hub, own: Hub, browser: Browser, user: str, database: Path) -> dict[str, str]:
    """Rows of the comparison; `own` speaks with the user's own token, `browser` holds their cookie.

    All but the last two come from the running hub: what runs, and not what is installed.
    """
    info = hub.call("GET", "/hub/api/info")
    return {
        "JupyterHub": info["version"],
        "runs from": str(Path(info["sys_executable"]).parent.parent.relative_to(CHECKOUT)),
        "Python": info["python"].split()[0],
        "users": str(len(hub.call("GET", "/hub/api/users?limit=200"))),
        "groups": ", ".join(sorted(group["name"] for group in hub.call("GET", "/hub/api/groups"))),
        f"{user}'s token from before": _own_token(own),
        f"{user}'s log-in from before": "valid" if browser.is_logged_in() else "gone",
        f"{user}'s server": _server_version(own, user),
        f"{user}'s notebook": _notebook(own, user),
        "API tokens": _one_value(database, "SELECT count(*) FROM api_tokens WHERE note = 'nightly job'"),
        "schema revision": _one_value(database, "SELECT version_num FROM alembic_version"),
    }


def _own_token(own: Hub) -> str:
    try:
        return f"works, as {own.call('GET', '/hub/api/user')['name']}"
    except Refused as refusal:
        return f"refused: {refusal}"


def _server_version(own: Hub, user: str) -> str:
    return f"runs, JupyterHub {own.headers(f'/user/{user}/api/status')['X-JupyterHub-Version']}"


def _notebook(own: Hub, user: str) -> str:
    notebook = own.call("GET", f"/user/{user}/api/contents/welcome.ipynb")["content"]
    return f"{len(notebook['cells'])} cells"


def _one_value(database: Path, query: str) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return str(connection.execute(query).fetchone()[0])
