"""A hub whose database cannot be migrated is upgraded with a fresh one, as its administrator accepts it."""

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
from tests.hubs.real_hub import JSONSCHEMA, build, running_hub
from tests.testbed.releases import MIGRATION_BREAKS

#: There is no major in between, so that there is no other way.
OLD, NEW = "5.4.6", "6.1.1"
MIGRATION = "jupyterhub/alembic/versions/be8ecf03ddac_service_timeout.py"


class Hub:
    """A hub whose upgrade is staged, with a migration that breaks."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.database = folder / "jupyterhub.sqlite"
        self.api_url = find_deployment(name).config.hub_api_url
        _report, printed = self.play("plan.yml")
        staged = list(folder.glob(f"environment.staged-*/lib/python*/site-packages/{MIGRATION}"))
        assert staged, printed
        [file] = staged
        file.write_text(file.read_text() + MIGRATION_BREAKS)

    def play(self, name: str, **variables: Any) -> tuple[dict[str, Any], str]:
        """Run a playbook; the report, and what was printed."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        wanted = {
            "jupyterhub_service": self.name,
            "jupyterhub_version": NEW,
            "jupyterhub_packages": [JSONSCHEMA],
            "jupyterhub_watch_seconds": 0,
            "jupyterhub_report_fetch": str(report),
            **variables,
        }
        done = run_playbook(name, self.folder, wanted)
        return json.loads(report.read_text()) if report.exists() else {}, done.stdout + done.stderr

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return list(connection.execute(query))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    place = tmp_path / "environment"
    build(place, OLD, "jupyter-server")
    with running_hub(OLD, tmp_path, place=place) as deployment:
        yield Hub(deployment.name, tmp_path)


def test_it_is_listed_what_is_lost_and_a_rollback_brings_it_back(hub: Hub) -> None:
    users = "SELECT id, name, admin, cookie_id FROM users ORDER BY id"
    tokens = "SELECT hashed FROM api_tokens WHERE note = 'a test''s' ORDER BY id"
    before = hub.rows(users), hub.rows(tokens)
    assert len(before[1]) == 5

    _report, printed = hub.play("plan.yml", jupyterhub_fresh_database="when_migration_fails")
    assert "The migration fails. A fresh database is tried in the place of the old one:" in printed
    assert "fresh-database: " in printed
    assert "It is lost with it: API tokens and log-ins: 5" in printed
    assert "jupyterhub_accept: [fresh-database]" in printed

    report, printed = hub.play(
        "upgrade.yml", jupyterhub_fresh_database="when_migration_fails", jupyterhub_accept=["fresh-database"]
    )
    assert report["outcome"] == "upgraded", printed
    assert any("It is lost with it: API tokens" in warning for warning in report["warnings"])
    assert api.version(hub.api_url) == NEW
    assert (hub.rows(users), hub.rows(tokens)) == (before[0], [])

    report, printed = hub.play("rollback.yml", jupyterhub_accept_loss=True)
    assert report["outcome"] == "rolled back", printed
    assert api.version(hub.api_url) == OLD
    assert (hub.rows(users), hub.rows(tokens)) == before
