"""Hubs whose database a server has, upgraded by their host, rolled back, and restored by the guard."""

from __future__ import annotations

import functools
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    catalogue,
    recovery_point,
    retention,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import rehearse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.process_records import recorded_in
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import guard_folder

from tests.hubs.databases.servers import KINDS, MORE, Place, empty_place
from tests.hubs.real_hub import build, fill_database, running_hub
from tests.hubs.recovery.staged_hub import NEW, OLD, Hub
from tests.testbed.releases import APP, DOES_NOT_START


class HubOnServer(NamedTuple):
    """A hub, and its database."""

    hub: Hub
    place: Place


#: Whose hubs are restored in every way.
SERVERS = ("postgresql-15", "mariadb-10.11")
on_each = functools.partial(pytest.mark.parametrize, "shared", indirect=True, scope="module")


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubOnServer]:
    kind, folder = {**KINDS, **MORE}[request.param], tmp_path_factory.mktemp("hub")
    environment = folder / "environment"
    build(environment, OLD, *kind.packages)
    with kind.start() as server, pytest.MonkeyPatch.context() as here:
        # Of the hub's service, too: MySQL's own programs are found before MariaDB's.
        here.setenv("PATH", kind.programs, os.pathsep)
        place = empty_place(server, kind, folder)
        fill_database(environment, place.config.url)
        # An idle hub on MariaDB looks at its database when it writes its users' activity, every 300 s.
        config = f"c.JupyterHub.db_url = {place.config.url!r}\nc.JupyterHub.last_activity_interval = 1\n"
        with running_hub(OLD, folder, config=config, place=environment) as deployment:
            yield HubOnServer(Hub(deployment, folder), place)


@pytest.fixture
def on_server(shared: HubOnServer) -> Iterator[HubOnServer]:
    yield shared
    hub, place = shared
    hub.make_old()
    assert retention.remove(hub.point)
    assert place.databases() == [place.name]


@on_each([*SERVERS, *MORE])
def test_a_hub_is_rehearsed_upgraded_and_rolled_back_later(on_server: HubOnServer) -> None:
    hub, place = on_server
    before = place.server.content(place.name)
    run_id = hub.arm()
    deployment = find_deployment(hub.name)
    rehearsal = rehearse(deployment, [hub.entry], NEW, hub.folder)
    assert [finding.found for finding in rehearsal.findings if finding.severity == "blocker"] == []
    assert rehearsal.rows["users"] == {"before": 5, "after": 5}
    assert rehearsal.version == NEW
    assert migration.is_prepared(hub.staged, hub.folder)
    verified = hub.conduct(run_id)
    assert (verified.phase, hub.version()) == (journal.VERIFIED, NEW)
    assert verified.measured("migrate", "prepared")
    assert rollback.accept(hub.folder, run_id)["left"] == []

    place.sql("INSERT INTO users (name, cookie_id) VALUES ('eve', 'x')")
    compared = catalogue.compare(hub.point)
    assert compared.database and compared.since["users"] == ["eve"] and compared.lost
    recovery_point.restore(hub.point, 60, 60)
    assert hub.version() == OLD
    assert rows_of(before) <= rows_of(place.server.content(place.name))
    assert "eve" not in place.sql("SELECT name FROM users")
    assert with_password(hub.base) == {hub.point / "database-access.json"}


def rows_of(content: list[str]) -> set[str]:
    """Rows of tables that a hub which starts does not change."""
    row = re.compile(r"INSERT INTO (public\.|`)(users|api_tokens|groups|user_group_map)\W")
    # When somebody was active last, a hub writes by itself.
    return {re.sub(r"'\d{4}-[^']*'", "", line) for line in content if row.match(line)}


def with_password(folder: Path) -> set[Path]:
    """Files of the state folder that the database's password is in, but for the hub's own config."""
    words = (b"s3 cr", b"s3%20cr")
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".py" and any(word in path.read_bytes() for word in words)
    }


def breaks(hub: Hub) -> None:
    """The new hub does not start."""
    app = next(hub.staged.glob(f"lib/python*/site-packages/{APP}"))
    with app.open("a") as file:
        file.write(DOES_NOT_START)


@on_each(SERVERS)
def test_a_hub_that_does_not_start_is_followed_by_the_restore(on_server: HubOnServer) -> None:
    hub, place = on_server
    before = place.server.content(place.name)
    run_id = hub.arm()
    breaks(hub)
    with pytest.raises(HubError, match="The hub exited at its start"):
        hub.conduct(run_id)
    assert (hub.now().phase, hub.version()) == (journal.RESTORED, OLD)
    assert rows_of(place.server.content(place.name)) == rows_of(before)
    assert hub.now().outcome["left"] == []


@on_each(SERVERS)
def test_the_guard_restores_without_the_config_and_waits_for_the_server(on_server: HubOnServer) -> None:
    hub, place = on_server
    before = place.server.content(place.name)
    run_id = hub.arm()
    begun = os.fork()
    if begun == 0:
        with suppress(BaseException):
            hub.conduct(run_id, watch=300)
        os._exit(0)
    hub.wait_until(lambda run: run.doing == "verify")
    program = recorded_in(guard_folder(hub.folder) / "outage.process")
    assert program
    place.server.stop(signal.SIGKILL)
    os.kill(program, signal.SIGKILL)
    hub.wait_until(lambda run: run.phase == journal.RESTORING)
    place.server.start()
    ended = hub.wait_until(lambda run: run.is_over)
    os.waitpid(begun, 0)
    assert (ended.phase, ended.outcome["by"], hub.version()) == (journal.RESTORED, "the guard", OLD)
    assert rows_of(place.server.content(place.name)) == rows_of(before)
