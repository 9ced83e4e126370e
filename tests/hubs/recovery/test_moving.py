"""A hub's database is moved to PostgreSQL, or the hub is as it was. Real hubs and servers."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import moving
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    arming,
    outage,
    recovery_point,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.outage_steps import Settings
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import moved_hub
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.hubs.playbook import run_playbook
from tests.hubs.real_hub import environment, running_hub
from tests.testbed.databases import POSTGRESQL_15, Server
from tests.testbed.databases.mysql import Mysql, mysql
from tests.testbed.databases.postgresql import postgresql

VERSION = "4.1.6"
PASSWORD = "p@s:/%?#'\" ö"
ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "ansible-playbook move_database.yml"}
PATIENCE = 120
ADMIN = "an-admin-of-tests-0123456789"
#: As Fernet makes it, with bytes that a text must not have.
STATE = b"gAAAA\x00\xff'\""
CONFIG = f"""
c.JupyterHub.db_url = 'sqlite:///jupyterhub.sqlite'  # the database
c.JupyterHub.last_activity_interval = 1  # An idle hub on MariaDB looks then, else every 300 s.
c.JupyterHub.services = [{{'name': 'tester', 'api_token': '{ADMIN}'}}]
c.JupyterHub.load_roles = [
    {{'name': 'tester', 'services': ['tester'], 'scopes': ['admin:users', 'admin:groups', 'tokens']}}
]
"""


class Hub:
    """A hub with the new, empty database that it is to be moved to."""

    def __init__(self, name: str, folder: Path, url: str, server: Server) -> None:
        self.name, self.folder, self.url, self.server = name, folder, url, server
        self.config = folder / "jupyterhub_config.py"
        self.old = folder / "jupyterhub.sqlite"
        self.state = state.state_folder(name, str(folder / "state"))
        self.api_url = find_deployment(name).config.hub_api_url

    def play(self, name: str, *arguments: str, **variables: Any) -> tuple[dict[str, Any], str]:
        """Run a playbook; the report, and what was printed."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        wanted = {
            "jupyterhub_service": self.name,
            "jupyterhub_database_url": self.url,
            "jupyterhub_watch_seconds": 0,
            "jupyterhub_report_fetch": str(report),
            **variables,
        }
        done = run_playbook(name, self.folder, wanted, *arguments)
        printed = done.stdout + done.stderr
        assert PASSWORD not in printed and "p%40s" not in printed
        return json.loads(report.read_text()) if report.exists() else {}, printed

    def prepare(self) -> str:
        """Bring a move up to its outage; the id of its run."""
        deployment = find_deployment(self.name)
        base = str(self.state.parent)
        plan = moving.plan(deployment, self.url, write_config=True, policy=Policy(), base=base)
        assert plan.move and not plan.blockers
        run = journal.begin(self.state, ADA, 600, deployment=deployment, plan=plan)
        moved_hub.rehearse(deployment, plan.move, self.url, self.state)
        assert self.tables() == []
        arming.arm(self.state, run.id, recovery_point.create(deployment, plan, base, [], 10))
        return run.id

    def ask(self, path: str, token: str = ADMIN, method: str = "GET", body: Any = None) -> Any:
        return api.ask(f"{self.api_url}/{path}", token, method, body).body

    def tables(self) -> list[str]:
        """Those of the new database."""
        listed = "SELECT table_name FROM information_schema.tables"
        return self.server.sql(f"{listed} WHERE table_schema IN ('public', 'hub') ORDER BY 1", "hub").split()

    def has_state(self) -> bool:
        """Whether the encrypted state is in the new database, byte for byte."""
        literal = f"x'{STATE.hex()}'" if isinstance(self.server, Mysql) else f"'\\x{STATE.hex()}'"
        found = f"SELECT count(*) FROM users WHERE encrypted_auth_state = {literal}"
        return self.server.sql(found, "hub").strip() == "1"

    def serves_as_before(self, config: bytes) -> None:
        assert api.version(self.api_url) == VERSION
        assert self.config.read_bytes() == config
        assert {user["name"] for user in self.ask("users")} == {f"user{number}" for number in range(5)}
        assert self.tables() == []
        left = {path.name for path in self.state.iterdir()}
        assert left == {"run.json", "heartbeat", "lock", "recovery", "runs", "restored.json"}


#: A server, and the driver with which the hub reaches it.
KINDS: dict[str, tuple[Callable[[], AbstractContextManager[Server]], str]] = {
    "postgresql": (lambda: postgresql(POSTGRESQL_15), "psycopg[binary]"),
    "mariadb": (mysql, "PyMySQL"),
}


@pytest.fixture(scope="module", params=["postgresql"])
def kind(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str]]:
    start, driver = KINDS[request.param]
    with start() as server:
        server.make_role("hub", PASSWORD)
        yield server, driver


@pytest.fixture
def hub(tmp_path: Path, kind: tuple[Server, str]) -> Iterator[Hub]:
    server, driver = kind
    server.make_database("hub", "hub")
    place = environment(VERSION, driver)
    with running_hub(VERSION, tmp_path, config=CONFIG, place=place) as deployment:
        yield Hub(deployment.name, tmp_path, server.url("hub", PASSWORD, "hub"), server)
    server.sql("DROP DATABASE hub")


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_hub_is_moved_and_moved_back_by_a_rollback(hub: Hub) -> None:
    hub.ask("users/ada", method="POST")
    hub.ask("groups/poets", method="POST")
    hub.ask("groups/poets/users", method="POST", body={"users": ["ada"]})
    token = hub.ask("users/ada/tokens", method="POST", body={"note": "of before"})["token"]
    with closing(sqlite3.connect(hub.old)) as database:
        database.execute("UPDATE users SET encrypted_auth_state = ? WHERE name = 'ada'", (STATE,))
        database.commit()
    hub.config.chmod(0o640)
    config = hub.config.read_bytes()
    line = ascii(hub.url).encode()

    _report, printed = hub.play("move_database.yml", "--check", jupyterhub_write_config=True)
    assert f"Nothing was changed: the database of JupyterHub {VERSION} would be moved to " in printed
    assert (hub.config.read_bytes(), hub.tables()) == (config, [])

    report, printed = hub.play("move_database.yml", jupyterhub_write_config=True)
    assert report["outcome"] == "moved", printed
    assert report["expected_outage_seconds"] and report["downtime_seconds"]
    assert hub.config.read_bytes() == config.replace(b"'sqlite:///jupyterhub.sqlite'", line)
    assert hub.config.stat().st_mode & 0o777 == 0o640
    assert "hubops_move" not in hub.tables() and hub.has_state()
    ada = hub.ask("user", token)
    assert (ada["name"], ada["groups"]) == ("ada", ["poets"])
    assert not (hub.state / "move").exists()
    for file in (hub.state / "run.json", *hub.state.glob("runs/*/*.json")):
        assert "p%40s" not in file.read_text() and PASSWORD not in file.read_text()

    report, printed = hub.play("move_database.yml", jupyterhub_write_config=True)
    assert report["outcome"] == "unchanged" and report["downtime_seconds"] == 0, printed

    hub.ask("users/eve", method="POST")
    report, printed = hub.play("rollback.yml")
    assert report["outcome"] == "failed" and "has another database now, " in printed
    report, printed = hub.play("rollback.yml", jupyterhub_accept_loss=True)
    assert report["outcome"] == "rolled back", printed
    assert hub.config.read_bytes() == config
    assert hub.ask("user", token)["name"] == "ada"
    assert "eve" not in {user["name"] for user in hub.ask("users")}
    assert "eve" in hub.server.sql("SELECT name FROM users", "hub")


def test_a_copy_that_fails_in_the_outage_ends_with_the_old_hub(hub: Hub) -> None:
    config, run_id = hub.config.read_bytes(), hub.prepare()
    with closing(sqlite3.connect(hub.old)) as database:
        database.execute("UPDATE groups SET name = char(97, 0)")
        database.commit()
    with pytest.raises(HubError, match="The rows of groups cannot be copied: .*NUL"):
        outage.conduct(hub.state, run_id, Settings(start_timeout=60))
    hub.serves_as_before(config)


def test_a_program_that_is_killed_after_the_switch_ends_with_the_old_hub(hub: Hub) -> None:
    config, run_id = hub.config.read_bytes(), hub.prepare()
    outage.conduct(hub.state, run_id, Settings(start_timeout=60, watch=600), wait=0)
    deadline = time.monotonic() + PATIENCE
    while (run := journal.read(hub.state)) and run.doing != "verify":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert hub.config.read_bytes() != config and "hubops_move" in hub.tables()
    os.kill(int(journal.lock_holder(hub.state) or 0), signal.SIGKILL)
    while not ((run := journal.read(hub.state)) and run.is_over):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert run.outcome["ended"] == "old"
    hub.serves_as_before(config)
