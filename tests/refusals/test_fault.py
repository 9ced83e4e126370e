"""A broken release: found while the hub serves, or else the old hub is restored."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.testbed import Hub, PlaybookResult
from tests.testbed.hub import REPOSITORY
from tests.testbed.judge import Before
from tests.testbed.releases import (
    APP,
    CANNOT_READ_USERS,
    DOES_NOT_START,
    MIGRATION,
    NEVER_ANSWERS,
    USERS,
    VERSION,
    release,
)
from tests.testbed.staged import broken

from .refusal import failed_staging, reason, refusal

# Fails half-way, as SQLite's migrations do: what it has made stays made.
BREAKS = """
revision = "ffffffffffff"
down_revision = "f460b0348206"

import glob
import sqlalchemy
from alembic import op

def upgrade():
    op.add_column("users", sqlalchemy.Column("half_migrated", sqlalchemy.Integer))
    if op.get_bind().engine.url.database.endswith(DATABASE):
        op.execute("UPDATE users SET name = 'broken ' || id")
        op.get_bind().commit()
        for path in glob.glob(SPOILS):
            with open(path, "ab") as file:
                file.write(b"x")
        raise RuntimeError("this migration breaks")
"""


def breaking(database: str = "", spoils: str = "") -> str:
    """A migration that breaks for one database, or for all, and spoils the files of a pattern."""
    return f"DATABASE, SPOILS = {database!r}, {spoils!r}\n{BREAKS}"


def test_packages_that_cannot_be_had(hub: Hub) -> None:
    said = refusal(hub, **release(hub, "6.1.7", {"Requires-Dist": "package-that-nobody-has"}))
    assert said.startswith("packages-not-available: ")
    assert "package-that-nobody-has" in said
    assert "jupyterhub_packages" in said


def test_migration_that_fails_in_its_rehearsal(hub: Hub) -> None:
    said = failed_staging(hub, jupyterhub_rehearse=False, **broken(hub, {MIGRATION: breaking()}))
    assert "The rehearsal on a copy of the database failed." in said
    assert "this migration breaks" in said
    assert "The database itself is unchanged." in said


def test_hub_that_does_not_start_in_its_rehearsal(hub: Hub) -> None:
    said = failed_staging(hub, **broken(hub, {APP: DOES_NOT_START}))
    assert said.startswith("rehearsal-start: The new hub exited at its start, with status 1.")
    assert "RuntimeError: this release does not start" in said


def test_migration_that_fails_in_the_outage(fresh_hub: Hub) -> None:
    said = restored(fresh_hub, {MIGRATION: breaking(fresh_hub.layout.database)})
    assert f"The migration of {fresh_hub.layout.database} failed" in said
    assert "this migration breaks" in said


def test_hub_that_does_not_start(fresh_hub: Hub) -> None:
    said = restored(fresh_hub, {APP: DOES_NOT_START}, jupyterhub_rehearse=False)
    assert "The hub exited at its start." in said
    assert "RuntimeError: this release does not start" in said


def test_hub_that_never_answers(fresh_hub: Hub) -> None:
    said = restored(fresh_hub, {APP: NEVER_ANSWERS}, jupyterhub_rehearse=False, jupyterhub_start_timeout=20)
    assert "The hub was started, but it does not answer at http://127.0.0.1:8081/hub/api after 20 s." in said
    assert "this release waits for ever" in said


def test_hub_that_cannot_read_its_database(fresh_hub: Hub) -> None:
    said = restored(fresh_hub, {USERS: CANNOT_READ_USERS}, jupyterhub_rehearse=False)
    assert "/hub/api/users" in said
    assert "this release cannot read its users" in said


def test_restore_that_is_blocked(fresh_hub: Hub) -> None:
    hub = fresh_hub
    copies = f"{hub.layout.state_folder}/jupyterhub/recovery/*/sealed.sqlite"
    before = hub.fingerprint()
    wanted = broken(hub, {MIGRATION: breaking(hub.layout.database, spoils=copies)})
    finished = hub.playbook("upgrade.yml", {**wanted, "jupyterhub_rehearse": False}, expect_rc=2)

    said = reason(finished.stdout)
    assert "this migration breaks" in said
    assert "The hub is down, and kept down, because it could not be restored either" in said
    assert "sealed.sqlite has changed since it was written" in said
    assert finished.report["outcome"] == "failed"
    assert finished.report["downtime_seconds"] is None
    hub.exec(["systemctl", "start", hub.layout.systemd_unit], check=False)
    assert hub.version() is None, "the old hub was started on a half-migrated database"

    hub.exec(["sh", "-c", f"truncate --size=-1 {copies}"])
    restore_manually(hub, said)
    hub.wait_until_answers(hub.layout.version)
    after = hub.fingerprint()
    assert after["database"] == before["database"]
    assert after["environments"] == before["environments"]


def restore_manually(hub: Hub, said: str) -> None:
    """Run the command that the message names, as an administrator would."""
    command = shlex.split(said[said.index("ansible HOST") :].replace("HOST", hub.container))
    connection = ["-c", "community.docker.docker_api", "-e", "ansible_python_interpreter=/usr/bin/python3"]
    program = Path(sys.executable).with_name(command[0])
    subprocess.run(
        [program, "-i", f"{hub.container},", *connection, *command[1:]], cwd=REPOSITORY, check=True
    )


def restored(hub: Hub, append: dict[str, str], **variables: Any) -> str:
    """Try to upgrade to a release with a fault; return the reason with which the job fails.

    Asserts that the old hub serves again with its own database, environments, config and secrets, and that
    the report says so.
    """
    cookies = hub.log_in("user-001")
    before = Before.of(hub)
    wanted = broken(hub, append)

    finished = hub.playbook("upgrade.yml", {**wanted, **variables}, expect_rc=2)

    hub.wait_until_answers(hub.layout.version)
    assert before.differences(hub) == []
    assert before.left_behind(hub, apart_from=hub.layout.state_folder) == []
    assert hub.knows(cookies), "users have been logged out"
    said = reason(finished.stdout)
    states_it(finished, said, hub)
    return said


def states_it(finished: PlaybookResult, said: str, hub: Hub) -> None:
    """The report has the outcome, the reason, and what the outage cost."""
    report = finished.report
    assert report["outcome"] == "restored", json.dumps(report, indent=2)
    failure = report["failure"]
    assert said == f"{failure['reason']}\nIn the task '{failure['task']}'.\n{report['conclusion']}"
    assert (report["from_version"], report["to_version"]) == (hub.layout.version, VERSION)
    assert report["downtime_seconds"] > 0
    assert hub.exists(f"{report['backup']}/manifest.json")
    phases = {phase["name"]: phase["result"] for phase in report["phases"]}
    assert phases["stop"] == "changed"
    assert phases["restore"] == "changed"
    assert "failed" in phases.values()
