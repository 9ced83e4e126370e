"""How the database of a hub in a container is reached from its host, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import (
    mysql_access,
    postgresql_access,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import Access, DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.container_context import (
    ContainerContext,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.containers import Mount, parsed

from tests.unit.services.test_docker import changed


def context(*mounts: Mount, directory: str) -> ContainerContext:
    """That of a hub in a container, whose user has its home in a volume."""
    container = parsed(changed())
    return ContainerContext(
        *("hub", 1500, 1500, (1500, 100), "/home/hub", directory, {"HOME": "/home/hub"}),
        container=container.__class__(**{**vars(container), "mounts": list(mounts)}),
    )


def test_a_password_that_its_user_keeps_in_a_volume(tmp_path: Path) -> None:
    (tmp_path / ".pgpass").write_text("db:*:hub:hub:of the volume\n")
    (tmp_path / ".pgpass").chmod(0o600)
    inside = context(Mount(str(tmp_path), "/home/hub", "homes"), directory=str(tmp_path))
    access = postgresql_access.access_of(DatabaseConfig("postgresql://hub@db/hub"), inside, "2.0")
    assert (access.password, access.directory) == ("of the volume", str(tmp_path))
    assert access.container == inside.container_user
    assert access.container.uid == 1500
    # As a recovery point has it.
    assert from_dict(Access, to_dict(access)) == access


def test_a_certificate_that_its_user_keeps_in_a_volume(tmp_path: Path) -> None:
    (tmp_path / ".postgresql").mkdir()
    for name in ("postgresql.crt", "postgresql.key"):
        (tmp_path / ".postgresql" / name).touch()
    inside = context(Mount(str(tmp_path), "/home/hub", "homes"), directory="hub:/home/hub")
    config = DatabaseConfig("postgresql://hub@db/hub?sslrootcert=tls/ca.pem&sslcrl=")
    found = postgresql_access.access_of(config, inside, "2.0")
    # By the container's paths, which the clients of the host are told as those of the volume.
    assert found.options == {
        "sslcert": "/home/hub/.postgresql/postgresql.crt",
        "sslkey": "/home/hub/.postgresql/postgresql.key",
        "sslrootcert": "/home/hub/tls/ca.pem",
    }


def test_a_rehearsal_has_its_place_on_a_mount_that_may_be_written(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.touch()
    mounts = (
        Mount(str(tmp_path), "/etc/hub", writable=False),
        Mount(str(file), "/srv/hub/jupyterhub_config.py"),
        Mount(f"{tmp_path}{os.sep}data", "/data", "data"),
    )
    (tmp_path / "data").mkdir()
    assert context(*mounts, directory="hub:/srv/hub").scratch_place == f"{tmp_path}/data"
    with pytest.raises(HubError, match="The container hub has no mount that it may write"):
        _ = context(*mounts[:2], directory="hub:/srv/hub").scratch_place


@pytest.mark.parametrize("url", ["mysql://hub@/hub", "mysql://hub@localhost/hub", "mysql+pymysql:///hub"])
def test_a_socket_of_mysqls_that_only_the_container_knows(url: str) -> None:
    with pytest.raises(HubError, match="the driver's own socket in the hub's container"):
        mysql_access.access_of(DatabaseConfig(url), context(directory="/data"), "2.0")


def test_a_server_that_only_libpq_knows() -> None:
    with pytest.raises(HubError, match="postgresql:///hub names no server, and the hub is a container"):
        postgresql_access.access_of(DatabaseConfig("postgresql:///hub"), context(directory="/data"), "2.0")


def test_over_tcp_its_own_host_is_its_own_network() -> None:
    inside = context(directory="/data")
    access = mysql_access.access_of(DatabaseConfig("mysql+pymysql://hub@localhost/hub"), inside, "2.0")
    assert access.host == "localhost"
