"""A database server whose disk becomes full in the outage: the old hub is restored nevertheless."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.hubs.databases.servers import KINDS, empty_place
from tests.hubs.databases.test_hubs_on_servers import HubOnServer, rows_of
from tests.hubs.real_hub import build, fill_database, running_hub
from tests.hubs.recovery.test_outage import OLD, Hub
from tests.testbed.releases import MIGRATION_TO_5

#: For the server's data, a copy of the hub's database, and what is reserved.
MEBIBYTES = 300
#: Not one byte is left when the migration begins, but for that of a copy.
FILLS_THE_DISK = """
import contextlib

_upgrade = upgrade

def upgrade():
    if "_hubops_" not in op.get_bind().engine.url.database:
        for size in (65536, 1):
            with open("{filler}", "ab", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    _upgrade()
"""


@pytest.fixture(params=["postgresql-15", "mariadb-10.11"])
def on_own_disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubOnServer]:
    kind, folder = KINDS[request.param], tmp_path_factory.mktemp("hub")
    environment = folder / "environment"
    build(environment, OLD, *kind.packages)
    with kind.start() as server:
        server.stop()
        disk, kept = server.folder / "data", server.folder / "kept"
        disk.rename(kept)
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", disk], check=True)
        try:
            subprocess.run(["cp", "-a", f"{kept}/.", disk], check=True)
            server.start()
            place = empty_place(server, kind, folder)
            fill_database(environment, place.config.url)
            config = f"c.JupyterHub.db_url = {place.config.url!r}\nc.JupyterHub.last_activity_interval = 1\n"
            with running_hub(OLD, folder, config=config, place=environment) as deployment:
                yield HubOnServer(Hub(deployment, folder), place)
        finally:
            server.stop()
            subprocess.run(["umount", disk], check=True)


def test_a_full_disk_of_the_server_does_not_prevent_the_restore(on_own_disk: HubOnServer) -> None:
    hub, place = on_own_disk
    before = place.server.content(place.name)
    run_id = hub.arm()
    filler = place.server.folder / "data" / "filler"
    (migration,) = hub.staged.glob(f"lib/python*/site-packages/{MIGRATION_TO_5}")
    with migration.open("a") as file:
        file.write(FILLS_THE_DISK.replace("{filler}", str(filler)))
    # A migration to which what is free in the tables is enough is followed by a hub to which it is not.
    with pytest.raises(HubError, match="No space left on device|The hub exited at its start"):
        hub.conduct(run_id)
    assert (hub.now().outcome["ended"], hub.version()) == ("old", OLD)
    assert rows_of(place.server.content(place.name)) == rows_of(before)
    assert filler.stat().st_size > 0, "the disk was never full"
    filler.unlink()
