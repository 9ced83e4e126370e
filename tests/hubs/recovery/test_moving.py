"""A hub's database is moved to another one by the playbook, or the hub is as it was. Real hubs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api

from tests.hubs.playbook import run_playbook
from tests.hubs.real_hub import environment, running_hub
from tests.testbed.databases import POSTGRESQL_15, Server
from tests.testbed.databases.postgresql import postgresql

VERSION = "4.1.6"
PASSWORD = "p@s:/%?#'\" ö"
ADMIN = "an-admin-of-tests-0123456789"
#: As Fernet makes it, with bytes that a text must not have.
STATE = b"gAAAA\x00\xff'\""
CONFIG = f"""
c.JupyterHub.db_url = 'sqlite:///jupyterhub.sqlite'  # the database
c.JupyterHub.services = [{{'name': 'tester', 'api_token': '{ADMIN}'}}]
c.JupyterHub.load_roles = [
    {{'name': 'tester', 'services': ['tester'], 'scopes': ['admin:users', 'admin:groups', 'tokens']}}
]
"""


class Hub:
    """A hub with the new database that it is moved to."""

    def __init__(self, name: str, folder: Path, url: str, server: Server) -> None:
        self.name, self.folder, self.url, self.server = name, folder, url, server
        self.config = folder / "jupyterhub_config.py"
        self.api_url = find_deployment(name).config.hub_api_url

    def move(self, *arguments: str, **variables: Any) -> tuple[dict[str, Any], str]:
        """Run the playbook; the report, and what was printed."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        wanted = {
            "jupyterhub_service": self.name,
            "jupyterhub_database_url": self.url,
            "jupyterhub_write_config": True,
            "jupyterhub_watch_seconds": 0,
            "jupyterhub_report_fetch": str(report),
            **variables,
        }
        done = run_playbook("move_database.yml", self.folder, wanted, *arguments)
        printed = done.stdout + done.stderr
        return json.loads(report.read_text()) if report.exists() else {"failed": done.returncode}, printed

    def ask(self, path: str, token: str = ADMIN, method: str = "GET", body: Any = None) -> Any:
        return api.ask(f"{self.api_url}/{path}", token, method, body).body

    def users(self) -> set[str]:
        return {user["name"] for user in self.ask("users")}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql(POSTGRESQL_15) as started:
        started.make_role("hub", PASSWORD)
        started.make_database("hub", "hub")
        yield started


@pytest.fixture
def hub(tmp_path: Path, server: Server) -> Iterator[Hub]:
    place = environment(VERSION, "psycopg2-binary")
    with running_hub(VERSION, tmp_path, config=CONFIG, place=place) as deployment:
        url = server.url("hub", PASSWORD, "hub").replace("://", "+psycopg2://")
        yield Hub(deployment.name, tmp_path, url, server)


def test_a_move(hub: Hub) -> None:
    hub.ask("users/ada", method="POST")
    token = hub.ask("users/ada/tokens", method="POST", body={"note": "of before"})["token"]
    with closing(sqlite3.connect(hub.folder / "jupyterhub.sqlite")) as database:
        database.execute("UPDATE users SET encrypted_auth_state = ? WHERE name = 'ada'", (STATE,))
        database.commit()
    before = hub.config.read_text()

    report, printed = hub.move("--check")
    print(printed)
    assert f"Nothing was changed: the database of JupyterHub {VERSION} would be moved to postgresql" in printed
    assert hub.config.read_text() == before

    report, printed = hub.move()
    print(printed)
    assert report["outcome"] == "moved", printed
    assert hub.config.read_text() == before.replace("'sqlite:///jupyterhub.sqlite'", ascii(hub.url))
    assert hub.ask("user", token)["name"] == "ada"
    assert PASSWORD not in printed
