"""A hub that reaches PostgreSQL through PgBouncer is refused before anything is done, with a sentence."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database

from tests.hubs.databases.servers import KINDS, SQLALCHEMY, Place, empty_place
from tests.hubs.real_hub import free_ports
from tests.testbed.databases.postgresql import postgresql
from tests.testbed.databases.server import as_user

USER, PASSWORD = "pooled", "a-password"


@contextmanager
def pgbouncer(server_port: int, folder: Path, setting: str) -> Iterator[int]:
    """A pooler before a server; its port."""
    [port] = free_ports(1)
    (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server_port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {folder}/users\n{setting}\n"
    )
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    with subprocess.Popen(
        ["/usr/sbin/pgbouncer", folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL, **as_user()
    ) as process:
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert process.poll() is None
            yield port
        finally:
            process.kill()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with postgresql() as server:
        server.make_role(USER, PASSWORD)
        place = empty_place(server, KINDS["postgresql-15"], tmp_path_factory.mktemp("hub"))
        server.make_database(f"{place.name}_pooled", USER)
        yield place


@pytest.mark.parametrize("setting", ["", "ignore_startup_parameters = options", "pool_mode = transaction"])
def test_a_pooler_is_refused_and_the_server_itself_is_not(place: Place, tmp_path: Path, setting: str) -> None:
    url = place.server.url(USER, PASSWORD, f"{place.name}_pooled")
    direct = find_database(replace(place.config, url=url), place.context, SQLALCHEMY, 5)
    assert direct.problem is None
    folder = Path("/tmp", tmp_path.name)
    folder.mkdir(exist_ok=True)
    with pgbouncer(place.server.port, folder, setting) as port:
        pooled = url.replace(f":{place.server.port}/", f":{port}/")
        facts = find_database(replace(place.config, url=pooled), place.context, SQLALCHEMY, 5)
    assert facts.problem and "is reached through a pooler of connections, such as PgBouncer" in facts.problem
    assert "Name the server itself in c.JupyterHub.db_url" in facts.problem
