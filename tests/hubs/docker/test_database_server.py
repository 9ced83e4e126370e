"""A hub in a container whose database a server has, in another container or on the host. Real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_network
from json import loads
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import postgresql_clients
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    catalogue,
    recovery_point,
    retention,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import rehearse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.container_helpers import remove_helpers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.process_records import recorded_in

from tests.hubs.docker.container_hub import (
    NEW,
    OLD,
    Hub,
    broken_image,
    container,
    docker,
    unique_name,
    wait_until_it_answers,
)
from tests.testbed.databases.mysql import Mysql
from tests.testbed.databases.server import running
from tests.testbed.images import image
from tests.testbed.releases import DOES_NOT_START

SECONDS = 120
#: What only the networks of the hub's container know.
HOST = "database.of.hub"
PASSWORD = "s3 cr@t:/%?#'"
IN_URL = "s3%20cr%40t%3A%2F%25%3F%23%27"
CONFIG = "c.JupyterHub.db_url = '{}'\nc.JupyterHub.last_activity_interval = 1\n"


class Server(NamedTuple):
    """A server of a hub's database."""

    url: str
    options: list[str]
    networks: list[str]
    """Options and further networks of the hub's container, by which it reaches the server."""
    sql: Callable[[str], list[str]]
    """What a statement of its superuser in the hub's database prints."""
    list_databases: str


class Served(NamedTuple):
    hub: Hub
    server: Server

    def users(self) -> list[str]:
        return self.server.sql("SELECT name FROM users ORDER BY name")

    def databases(self) -> list[str]:
        """The hub's, and what was made of it."""
        return [name for name in self.server.sql(self.server.list_databases) if name.startswith("hub")]


@contextmanager
def postgresql_in_a_container() -> Iterator[Server]:
    """In a network of its own, which is not the first one of the hub's container."""
    name = unique_name()

    def sql(statement: str, database: str = "hub") -> list[str]:
        arguments = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, database)
        return docker("exec", name, "psql", *arguments).splitlines()

    docker("network", "create", name)
    try:
        docker(
            *("run", "--detach", "--name", name, "--network", name, "--network-alias", HOST),
            image("database"),
        )
        deadline = time.monotonic() + SECONDS
        while subprocess.run(["docker", "exec", name, "pg_isready", "--quiet"]).returncode:
            assert time.monotonic() < deadline, docker("logs", name)
            time.sleep(0.1)
        quoted = PASSWORD.replace("'", "''")
        sql(f"CREATE ROLE hub LOGIN CREATEDB PASSWORD '{quoted}'", "postgres")
        sql("CREATE DATABASE hub OWNER hub", "postgres")
        yield Server(
            url=f"postgresql://hub:{IN_URL}@{HOST}/hub",
            options=[],
            networks=[name],
            sql=sql,
            list_databases="SELECT datname FROM pg_database",
        )
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("network", "rm", name)


class MysqlForContainers(Mysql):
    """One that listens where containers of this host's engine reach it."""

    @property
    def address(self) -> str:
        [network] = loads(docker("network", "inspect", "bridge"))
        return str(ip_network(network["IPAM"]["Config"][0]["Subnet"])[1])

    def command(self) -> list[str | Path]:
        words = [word for word in super().command() if not str(word).startswith("--bind-address=")]
        return [*words, f"--bind-address={self.address}", "--skip-name-resolve"]


@contextmanager
def mariadb_on_the_host() -> Iterator[Server]:
    with running(MysqlForContainers) as server:
        server.make_role("hub", PASSWORD)
        server.make_database("hub", "hub")
        server.sql("RENAME USER 'hub'@'localhost' TO 'hub'@'%'")
        yield Server(
            url=f"mysql+pymysql://hub:{IN_URL}@{HOST}:{server.port}/hub",
            options=["--add-host", f"{HOST}:host-gateway"],
            networks=[],
            sql=lambda statement: server.sql(statement, "hub").splitlines(),
            list_databases="SHOW DATABASES",
        )


#: The rest is the same for both: plain hubs have it with each kind of database.
ON_POSTGRESQL = pytest.mark.parametrize("shared", [postgresql_in_a_container], indirect=True)


@pytest.fixture(scope="module", params=[postgresql_in_a_container, mariadb_on_the_host])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    start: Callable[[], AbstractContextManager[Server]] = request.param
    folder = tmp_path_factory.mktemp("hub")
    with start() as server, container(
        folder / "data",
        *server.options,
        of="driver",
        config=CONFIG.format(server.url),
        networks=server.networks,
    ) as name:
        wait_until_it_answers(name, OLD)
        find_deployment(name)
        hub = Hub(name, folder)
        hub.ask("/users/ada", "POST")
        yield Served(hub, server)


@pytest.fixture
def served(shared: Served) -> Iterator[Served]:
    shared.hub.stage(image("driver-new"))
    yield shared
    shared.hub.make_old()
    assert retention.remove(shared.hub.point)
    assert shared.databases() == ["hub"]


def test_files_of_its_container_that_clients_of_the_host_cannot_read(shared: Served) -> None:
    [service] = find_services(shared.hub.name)
    setting = "ssl_ca" if shared.server.url.startswith("mysql") else "sslmode=verify-ca&sslrootcert"
    config = DatabaseConfig(f"{shared.server.url}?{setting}=/opt/authority.pem")
    found = find_database(config, service.context(), "2.0", 5)
    assert "/opt/authority.pem is on no mount of the container" in (found.problem or "")


def test_it_is_planned_rehearsed_upgraded_and_rolled_back(served: Served, tmp_path: Path) -> None:
    hub = served.hub
    found = find_deployment(hub.name)
    assert (found.database.problem, found.database.path, found.database.exists) == (None, None, True)
    assert found.database.server and found.database.server.sessions == []
    options = InstallerOptions(image=image("driver-new"))
    plan = planner.plan(found, NEW, Policy(), options, str(tmp_path))
    assert plan.blockers == []
    run_id = hub.arm()
    rehearsal = rehearse(found, [hub.entry], NEW, hub.folder)
    assert [each.found for each in rehearsal.findings if each.severity == "blocker"] == []
    assert (rehearsal.version, rehearsal.rows["users"]) == (NEW, {"before": 1, "after": 1})
    verified = hub.conduct(run_id)
    assert (verified.phase, verified.measured("migrate", "prepared")) == (journal.VERIFIED, "True")
    assert rollback.accept(hub.folder, run_id)["left"] == []
    assert (hub.version(), served.users()) == (NEW, ["ada"])

    hub.ask("/users/eve", "POST")
    assert catalogue.compare(hub.point).since["users"] == ["eve"]
    recovery_point.restore(hub.point, 60, 60)
    assert (hub.version(), served.users()) == (OLD, ["ada"])


@ON_POSTGRESQL
def test_a_hub_that_does_not_start_is_followed_by_the_restore(served: Served) -> None:
    hub = served.hub
    broken = broken_image(DOES_NOT_START, of="driver-new")
    hub.stage(broken)
    with pytest.raises(HubError, match="The hub exited at its start"):
        hub.conduct(hub.arm())
    ended = hub.now()
    assert (ended.phase, ended.outcome["by"], hub.version()) == (journal.RESTORED, "the host", OLD)
    assert served.users() == ["ada"]
    hub.remove_others()
    remove_helpers()
    docker("rmi", broken)


@ON_POSTGRESQL
def test_a_host_without_programs_takes_those_of_the_servers_container(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_clients, "installed", lambda search_path: ())
    hub = served.hub
    found = find_deployment(hub.name).database
    [version] = served.server.sql("SHOW server_version")
    assert found.problem is None
    assert found.server and {*found.server.clients.values()} == {version.split()[0]}
    assert not found.server.clients_too_old
    assert hub.conduct(hub.arm()).phase == journal.VERIFIED
    recovery_point.restore(hub.point, 60, 60)
    assert (hub.version(), served.users()) == (OLD, ["ada"])


@ON_POSTGRESQL
def test_the_guard_restores_database_and_container_when_the_program_is_killed(served: Served) -> None:
    hub = served.hub
    begun = hub.begin_to_conduct(hub.arm(), watch=300)
    hub.wait_until(lambda run: run.doing == "verify")
    program = recorded_in(state.guard_folder(hub.folder) / "outage.process")
    assert program
    os.kill(program, signal.SIGKILL)
    ended = hub.wait_until(lambda run: run.is_over)
    os.waitpid(begun, 0)
    assert (ended.phase, ended.outcome["by"], hub.version()) == (journal.RESTORED, "the guard", OLD)
    assert served.users() == ["ada"]
