"""A running hub is restored: differences are restored, rows that users have written since are not lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of

from tests.healthy_hub import database_file
from tests.hubs.real_hub import running_hub
from tests.plans import plan_to

SECRET = "c.ConfigurableHTTPProxy.auth_token = '0123456789abcdef'\n"


class Hub:
    """A hub that runs, and a sealed recovery point of it."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.folder = deployment, folder
        self.service = service_of(deployment.service)
        self.database = database_file(deployment)
        self.base = str(folder / "state")
        self.point = recovery_point.create(deployment, plan_to("6.1.1"), self.base, [], lock_timeout=5)
        lifecycle.stop(deployment, self.base, "a test", timeout=30)
        recovery_point.seal(self.point, lock_timeout=5)
        self.mark = self.service.log_mark()

    def write(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            connection.execute(statement)
            connection.commit()

    def users(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return [name for (name,) in connection.execute("select name from users order by name")]

    def restore(self) -> dict[str, Any]:
        return recovery_point.restore(self.point, 60, 60, self.mark)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub("4.1.6", tmp_path, config=SECRET) as deployment:
        yield Hub(deployment, tmp_path)


def test_what_was_written_after_a_restore_survives_the_next_one(hub: Hub) -> None:
    users = hub.users()
    hub.write("update users set name = 'spoilt' || id")
    hub.write("update alembic_version set version_num = 'f460b0348206'")
    first = hub.restore()
    assert (first["restored"], first["changed"], first["version"]) == ([str(hub.database)], True, "4.1.6")
    assert hub.users() == users
    hub.write("insert into users (name, admin, cookie_id) values ('newcomer', 0, 'c')")
    process = hub.service.main_pid()
    second = hub.restore()
    assert (second["restored"], second["changed"]) == ([], False)
    assert hub.users() == sorted([*users, "newcomer"])
    assert hub.service.main_pid() == process


def test_a_hub_that_nothing_has_happened_to_is_only_started(hub: Hub) -> None:
    assert recovery_point.foretell(hub.point)["changed"]
    found = hub.restore()
    assert (found["restored"], found["changed"]) == ([], True)
    assert recovery_point.foretell(hub.point) == {
        "changed": False,
        "restored": [],
        "diff": {"before": "", "after": ""},
    }
    assert not (hub.point / "replaced").exists()


def test_the_log_of_the_failed_hub_is_kept_without_its_secrets(hub: Hub) -> None:
    lifecycle.start(hub.deployment, hub.base, "4.1.6", timeout=60)
    with (hub.folder / "hub.log").open("a") as log:
        log.write("token=verysecret and the reason why it failed\n")
    hub.write("update alembic_version set version_num = 'f460b0348206'")
    hub.restore()
    (kept,) = hub.point.glob("replaced/*/hub.log")
    text = kept.read_text()
    assert "and the reason why it failed" in text
    assert "verysecret" not in text
    assert kept.stat().st_mode & 0o777 == 0o600


def test_an_error_of_the_system_is_a_failed_restore_that_can_be_repeated(hub: Hub) -> None:
    config = Path(hub.deployment.config.file or "")
    text = config.read_text()
    config.unlink()
    (config / "in the way").mkdir(parents=True)
    with pytest.raises(HubError, match="could not be restored"):
        hub.restore()
    assert hub.service.state() != "running", "a hub without its config was started"
    (config / "in the way").rmdir()
    config.rmdir()
    assert hub.restore()["version"] == "4.1.6"
    assert config.read_text() == text
