"""Users compute while their hub is upgraded: their kernels live on, or they are stopped. A real hub."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import users_servers, verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api, single_user_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import running_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import processes

from tests.hubs.real_hub import build, running_hub
from tests.hubs.recovery.staged_hub import NEW, OLD, Hub
from tests.hubs.recovery.watching import refused, watching

CONFIG = """
c.Spawner.args = ["--allow-root"]
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home/{{username}}"
"""
SCOPES = ("list:users", "read:users", "servers", "access:servers")
START_SECONDS = 60
#: Runs code in a kernel, over the websocket that a notebook has, and prints what that prints.
CLIENT = """
import json, sys, uuid
import websocket

url, token, code = sys.argv[1:]
message = uuid.uuid4().hex
header = {"msg_id": message, "msg_type": "execute_request", "session": message, "version": "5.3"}
content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
connection = websocket.create_connection(url, header=["Authorization: token " + token], timeout=120)
connection.send(json.dumps(request))
while True:
    answer = json.loads(connection.recv())
    if answer["parent_header"].get("msg_id") != message:
        continue
    if answer["msg_type"] == "stream":
        sys.stdout.write(answer["content"]["text"])
    if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
        break
"""


class Person:
    """Somebody with a server of their own, who reaches it as a browser does: through the proxy."""

    def __init__(self, hub: Hub, name: str) -> None:
        config = find_deployment(hub.name).config
        self.name, self.hub, self.api_url = name, hub, config.hub_api_url
        address = urllib.parse.urlsplit(config.public_url)
        self.port, self.address = address.port or 80, f"{address.netloc}/user/{name}"

    @contextmanager
    def token(self) -> Iterator[str]:
        deployment = find_deployment(self.hub.name)
        context = service_of(deployment.service).context()
        place = deployment.hub_environment.path
        with verification.lending(
            database_of(deployment.database, None), place, context, SCOPES, False
        ) as lender:
            yield lender.token()

    def start_server(self) -> None:
        """Start the server, unless it has outlived an earlier test."""
        if not self.has_server():
            with self.token() as token:
                single_user_servers.start(self.api_url, token, self.name, START_SECONDS)

    def has_server(self) -> bool:
        with self.token() as token:
            return bool(single_user_servers.look(self.api_url, token, self.name)[1].get("ready"))

    def start_kernel(self) -> str:
        with self.token() as token:
            answer = api.ask(f"http://{self.address}/api/kernels", token, "POST", {})
        assert answer.status == 201, str(answer)
        return str(answer.body["id"])

    def run(self, kernel: str, code: str) -> str:
        """What the code prints in the kernel."""
        with self.token() as token:
            url = f"ws://{self.address}/api/kernels/{kernel}/channels"
            python = f"{self.hub.entry.path}/bin/python"
            argv = [python, "-c", textwrap.dedent(CLIENT), url, token, code]
            return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def server_process(self) -> int:
        """Its process."""
        [found] = [
            process.pid
            for process in processes()
            if f"{self.hub.entry.path}/bin/jupyterhub-singleuser" in process.argv
            and process.environment()["JUPYTERHUB_SERVICE_PREFIX"] == f"/user/{self.name}/"
        ]
        return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("servers")
    place = folder / "environment"
    build(place, OLD, "jupyter-server", "ipykernel")
    with running_hub(OLD, folder, place=place, config=CONFIG.format(folder=folder)) as deployment:
        yield Hub(deployment, folder)


@pytest.fixture
def hub(shared: Hub) -> Iterator[Hub]:
    yield shared
    shared.make_old()


def test_the_hub_answers_what_is_asked_to_know_when_it_sees_the_token(hub: Hub) -> None:
    """On a server's database an idle hub takes a while, and until then the outage waits."""
    hub.arm()
    deployment = find_deployment(hub.name)
    with users_servers.attending(deployment, hub.point) as attendant:
        assert api.ask(f"{deployment.config.hub_api_url}/info", attendant.token).status == 200


def test_kernels_live_through_an_upgrade_and_a_server_that_does_not_is_named(hub: Hub) -> None:
    ada, eve = Person(hub, "user0"), Person(hub, "user1")
    for person in (ada, eve):
        person.start_server()
    kernel = ada.start_kernel()
    ada.run(kernel, "answer = 42")
    process = ada.server_process()
    run_id = hub.arm(running_servers=running_servers.KEEP)
    with watching(ada.port, "/hub/login", "/user/user0/api") as samples:
        begun = hub.begin_to_conduct(run_id)
        hub.wait_until(lambda run: run.doing == "start")
        os.kill(eve.server_process(), signal.SIGKILL)
        run = hub.wait_until(lambda run: run.phase != journal.OUTAGE)
        assert os.waitpid(begun, 0)[1] == 0
    assert refused(samples) == []
    assert 404 not in {sample.status for sample in samples}, "a proxy was asked that had no routes yet"
    kept = {sample.status for sample in samples if sample.path == "/user/user0/api"}
    assert 200 in kept and not kept - {0, 200}, "the kept server did not answer on its route"
    assert [sample.path for sample in samples if sample.headers.get("Retry-After")][:1] == ["/hub/login"]
    assert (run.phase, hub.version()) == (journal.VERIFIED, NEW)
    assert [server.label for server in rollback.kept_servers(run)] == ["user0", "user1"]
    assert ada.run(kernel, "print(answer)") == "42"
    assert ada.server_process() == process
    assert ada.has_server()
    warnings = next(phase.warnings for phase in run.phases if phase.name == "verify")
    assert len(warnings) == 1 and warnings[0].startswith(
        "The server of user1 was to run on, and does not answer on its route: 302"
    )
    assert not [line for line in database_of(hub.now().deployment.database, None).users() if "hubops" in line]
    rollback.accept(hub.folder, run_id)


def test_kernels_live_through_an_upgrade_that_is_undone(hub: Hub) -> None:
    ada = Person(hub, "user0")
    ada.start_server()
    kernel = ada.start_kernel()
    ada.run(kernel, "answer = 42")
    run_id = hub.arm(running_servers=running_servers.KEEP)
    no_user = pytest.raises(HubError, match="The hub knows no user nobody")
    with watching(ada.port, "/hub/login", "/user/user0/api") as samples, no_user:
        hub.conduct(run_id, user="nobody")
    assert refused(samples) == [], "a proxy was replaced, by the new hub or by the restored one"
    assert 404 not in {sample.status for sample in samples}, "a proxy was asked that had no routes yet"
    assert (hub.now().phase, hub.version()) == (journal.RESTORED, OLD)
    assert ada.run(kernel, "print(answer)") == "42"
    assert [phase.warnings for phase in hub.now().phases if phase.name == "restore"] == [[]]


def test_servers_are_waited_for_then_stopped_and_started_again(hub: Hub) -> None:
    ada = Person(hub, "user0")
    ada.start_server()
    process = ada.server_process()
    run_id = hub.arm(running_servers=running_servers.WAIT)
    begun = hub.begin_to_conduct(run_id, servers_idle=3600, servers_deadline=1, restart_servers=True)
    hub.wait_until(lambda run: run.doing == "servers: 1 of 1 in use, for 1 s more")
    run = hub.wait_until(lambda run: run.phase != journal.OUTAGE)
    assert os.waitpid(begun, 0)[1] == 0
    assert (run.phase, hub.version()) == (journal.VERIFIED, NEW)
    servers = next(phase for phase in run.phases if phase.name == "servers")
    assert servers.warnings == ["The server of user0 was in use when it was stopped."]
    assert [server["user"] for server in servers.measured["stopped"]] == ["user0"]
    assert ada.has_server()
    assert ada.server_process() != process
    with ada.token() as token:
        single_user_servers.stop(ada.api_url, token, ada.name, START_SECONDS)


def test_an_upgrade_is_refused_while_a_server_runs(hub: Hub) -> None:
    ada = Person(hub, "user0")
    ada.start_server()
    main_pid = find_deployment(hub.name).service.main_pid
    run_id = hub.arm(running_servers=running_servers.REFUSE)
    with pytest.raises(HubError, match="jupyterhub_running_servers is refuse: user0"):
        hub.conduct(run_id)
    assert ada.has_server()
    assert find_deployment(hub.name).service.main_pid == main_pid, "the hub was stopped"
    assert journal.failed_upgrade(hub.folder) is None, "it could not be tried again once the server has ended"
