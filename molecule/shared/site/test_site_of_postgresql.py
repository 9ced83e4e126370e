"""What the upgrade did with this site's database for copies, and with who was in the hub's."""

from __future__ import annotations

import json

from tests.testbed import Hub


def sql(hub: Hub, statement: str) -> list[str]:
    psql = ["runuser", "-u", "postgres", "--", "psql", "-XqAt", "-d", "jupyterhub", "-c", statement]
    return hub.exec(psql).stdout.splitlines()


def test_copies_were_in_the_database_that_was_lent(hub: Hub) -> None:
    assert sql(hub, "SELECT xact_commit > 100 FROM pg_stat_database WHERE datname = 'lent_scratch'") == ["t"]
    assert sql(hub, "SELECT datname FROM pg_database WHERE datname LIKE '%hubops_scratch%'") == []


def test_the_report_was_ended_and_said_so(hub: Hub) -> None:
    log = hub.exec(["journalctl", "--no-pager", "--unit", "report"]).stdout
    assert "terminating connection due to administrator command" in log
    files = hub.exec(["find", hub.layout.state_folder, "-name", "report.json"]).stdout.split()
    [text] = [text for text in map(hub.read, files) if json.loads(text)["outcome"] == "upgraded"]
    assert "psql of report" in text
