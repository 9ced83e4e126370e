"""A database server whose disk is full when the migration begins: the old hub is restored nevertheless."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests.hubs.databases.servers import KINDS, Place, empty_place
from tests.hubs.databases.test_hubs_on_servers import rows_of
from tests.hubs.real_hub import build, fill_database, running_hub
from tests.hubs.recovery.test_outage import OLD, Hub
from tests.testbed.releases import MIGRATION_TO_5

#: The server's data, a copy of the hub's database, and what the server needs to work.
MEBIBYTES = 300
FILLS_THE_DISK = """
import contextlib
import os

_upgrade = upgrade

def upgrade():
    if "_hubops_" not in op.get_bind().engine.url.database:
        with open("{filler}", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 65536):
                pass
        with open("{filler}", "ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x"):
                pass
    _upgrade()
"""


@pytest.fixture(scope="module", params=["postgresql-15", "mariadb-10.11"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Hub, Place]]:
    kind, folder = KINDS[request.param], tmp_path_factory.mktemp("hub")
    environment = folder / "environment"
    build(environment, OLD, *kind.packages)
    with kind.start() as server:
        server.stop()
        disk = server.folder / "data"
        data = server.folder / "data.before"
        disk.rename(data)
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", disk], check=True)
        try:
            subprocess.run(["cp", "-a", f"{data}/.", disk], check=True)
            server.start()
            place = empty_place(server, kind, folder)
            fill_database(environment, place.config.url)
            config = f"c.JupyterHub.db_url = {place.config.url!r}\nc.JupyterHub.last_activity_interval = 1\n"
            with running_hub(OLD, folder, config=config, place=environment) as deployment:
                yield Hub(deployment, folder), place
        finally:
            server.stop()
            subprocess.run(["umount", disk], check=True)


def test_disk_full(shared: tuple[Hub, Place]) -> None:
    hub, place = shared
    filler = place.server.folder / "data" / "filler"
    before = place.server.content(place.name)
    run_id = hub.arm()
    (path,) = hub.staged.glob(f"lib/python*/site-packages/{MIGRATION_TO_5}")
    path.write_text(path.read_text() + FILLS_THE_DISK.replace("{filler}", str(filler)))
    subprocess.run(["df", "-h", place.server.folder / "data"])
    try:
        try:
            print("conducted", hub.conduct(run_id, migration_timeout=60).phase)
        except HubError as error:
            print("ERROR", error)
        subprocess.run(["df", "-h", place.server.folder / "data"])
        run = hub.wait_until(lambda run: run.is_over or run.phase == journal.STUCK)
        print(run.phase, run.outcome, run.attempts, run.failures, hub.version())
        for phase in run.phases:
            print(phase.name, phase.seconds, phase.result, phase.message)
        print((place.server.folder / "log").read_text()[-3000:])
        print(place.databases())
        assert (run.phase, hub.version()) == (journal.RESTORED, OLD)
        assert rows_of(place.server.content(place.name)) == rows_of(before)
    finally:
        filler.unlink(missing_ok=True)
