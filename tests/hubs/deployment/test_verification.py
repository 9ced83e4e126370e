from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api as hub_api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import managed_services
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub_scripts import token_lender
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import family
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.source import source_of

from tests import REPOSITORY
from tests.healthy_hub import database_file
from tests.hubs.real_hub import environment, free_ports, link_environment, running_hub, stopped_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_hub("6.1.1", tmp_path_factory.mktemp("hub")) as deployment:
        yield deployment


def content(deployment: Deployment) -> dict[str, list[str]]:
    """Rows of each table."""
    with contextlib.closing(sqlite3.connect(database_file(deployment))) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(map(str, database.execute(f"SELECT * FROM {table}"))) for table in tables}


@pytest.mark.parametrize("version", ["1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6"])
def test_a_hub_is_proven_and_its_rows_are_as_before(tmp_path: Path, version: str) -> None:
    config = "c.JupyterHub.no_such_option = 'x'\n"
    with running_hub(version, tmp_path, config=config) as deployment:
        before = content(deployment)
        # supervisord's log from its beginning.
        found = verification.verify(deployment, version=version, since="{}")
        assert content(deployment) == before
    assert (found.version, found.users) == (version, 5)
    assert found.sys_executable == str(environment(version) / "bin" / "python")
    assert found.main_pid == deployment.service.main_pid
    assert [line for line in found.unrecognized if "no_such_option" in line]
    assert found.errors == []


def test_the_newest_hub_is_proven_through_ansible(hub: Deployment) -> None:
    before = content(hub)
    answered = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible"),
            "localhost",
            "-m",
            "hubops.jupyterhub.jupyterhub_verify",
        ]
        + ["-a", json.dumps({"deployment": to_dict(hub), "version": "6.1.1", "since": "{}"})],
        env={
            **os.environ,
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
        },
        capture_output=True,
        text=True,
    )
    assert "localhost | SUCCESS =>" in answered.stdout, answered.stdout + answered.stderr
    assert "localhost: JupyterHub 6.1.1 works in " in answered.stdout
    result = json.loads(answered.stdout.partition("=>")[2])
    assert (result["changed"], result["version"], result["users"]) == (False, "6.1.1", 5)
    assert content(hub) == before


def test_nothing_is_written_where_nothing_may_be(hub: Deployment) -> None:
    path = database_file(hub)
    before = path.stat()
    found = verification.verify(hub, version="6.1.1", may_write=False)
    assert (found.version, found.sys_executable, found.users) == ("6.1.1", None, None)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def changed(deployment: Deployment, part: str, **values: Any) -> Deployment:
    """A deployment that differs from the truth in one part."""
    return replace(deployment, **{part: replace(getattr(deployment, part), **values)})


def other_database(hub: Deployment, tmp_path: Path) -> Deployment:
    """A copy with one more user, to which the hub has no connection."""
    shutil.copy(database_file(hub), tmp_path / "copy.sqlite")
    return changed(hub, "database", path=str(tmp_path / "copy.sqlite"))


@pytest.mark.parametrize(
    ("lie", "options", "message"),
    [
        (lambda hub, _: hub, {"version": "9.9.9", "timeout": 1}, "it answers as version 6.1.1, not 9.9.9"),
        (
            lambda hub, _: hub,
            {"environment": "ENVIRONMENT"},
            "The hub runs in .*6.1.1/bin/python, not in .*other",
        ),
        (other_database, {}, "The hub answers .*/info with 403 Forbidden"),
        (
            lambda hub, _: changed(hub, "hub_environment", jupyterhub="4.1.6"),
            {},
            "process [0-9]+ is the one from before the upgrade",
        ),
        (
            lambda hub, _: changed(hub, "config", public_url=f"http://127.0.0.1:{free_ports(1)[0]}/"),
            {},
            "The log-in page http://127.0.0.1:.*/hub/login is answered with nothing .*Connection refused",
        ),
        (
            lambda hub, folder: changed(hub, "database", path=str(folder / "none.sqlite")),
            {},
            "There is no database .*none.sqlite",
        ),
    ],
)
def test_what_is_not_as_it_should_be_fails(  # type: ignore[no-untyped-def]
    hub: Deployment, tmp_path: Path, lie, options: dict[str, Any], message: str
) -> None:
    before = content(hub)
    if "environment" in options:
        options = {"environment": str(link_environment("6.1.1", tmp_path / "other"))}
    with pytest.raises(HubError, match=message):
        verification.verify(lie(hub, tmp_path), **{"version": "6.1.1", **options})
    assert content(hub) == before


def test_a_hub_that_cannot_write_its_database_fails(hub: Deployment) -> None:
    path = database_file(hub)
    # `/hub/health` would answer now, and so would the version.
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        # Another process reads what is locked: this one would lose its lock by opening the file itself.
        program = (
            "import json, sys; sys.path.insert(0, sys.argv[1]); import tests\n"
            "from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import verification\n"
            "from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import model\n"
            "from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict\n"
            "verification.verify(from_dict(model.Deployment, json.load(sys.stdin)), version='6.1.1')\n"
        )
        argv = [sys.executable, "-c", program, str(REPOSITORY)]
        ended = subprocess.run(argv, input=json.dumps(to_dict(hub)), capture_output=True, text=True)
    assert "No token could be written into" in ended.stderr
    assert "database is locked" in ended.stderr


SERVICES = """
import sys
c.JupyterHub.services = [
    {"name": name, "command": [sys.executable, "-c", open(name + ".py").read()]}
    for name in ("culler", "failing")
]
"""


def test_a_server_that_does_not_start_fails_with_the_end_of_the_log(tmp_path: Path) -> None:
    with running_hub("6.1.1", tmp_path, config=spawning("/bin/false", tmp_path)) as deployment:
        with pytest.raises(HubError) as caught:
            verification.verify(deployment, version="6.1.1", user="user1", timeout=20)
        said = str(caught.value)
        assert said.startswith("The server of user1 was to be started and stopped. ")
        assert "The end of its log:" in said
        with pytest.raises(HubError, match="(?s)The hub knows no user nobody.*jupyterhub_verify_user"):
            verification.verify(deployment, version="6.1.1", user="nobody")


def spawning(command: str, folder: Path) -> str:
    """A config whose servers run this command, as the hub's own user."""
    arguments = ["--allow-root"] if os.geteuid() == 0 else []
    return (
        f"c.Spawner.cmd = [{command!r}]\nc.Spawner.args = {arguments}\nc.Spawner.start_timeout = 15\n"
        f"c.SimpleLocalProcessSpawner.home_dir_template = '{folder}/home-{{username}}'\n"
    )


@pytest.mark.parametrize("version", ["1.5.1", "6.1.1"])
def test_a_service_that_ran_before_must_keep_running(tmp_path: Path, version: str) -> None:
    (tmp_path / "culler.py").write_text("import time; time.sleep(600)")
    (tmp_path / "failing.py").write_text("import time; time.sleep(0.2)")
    with running_hub(version, tmp_path, config=SERVICES) as deployment:
        managed_services.require(["culler"], deployment.service.main_pid or 0, 30)
        deployment = find_deployment(deployment.name)
        ran = {service.name: service.running for service in deployment.config.services}
        assert ran["culler"]
        # One that failed before does not make an upgrade fail.
        services = [
            replace(service, running=service.name == "culler") for service in deployment.config.services
        ]
        deployment = changed(deployment, "config", services=services)
        verification.verify(deployment, version=version)

        (tmp_path / "culler.py").write_text("raise SystemExit('no scope to list users')")
        service = service_of(deployment.service)
        mark = service.log_mark()
        service.stop(30)
        service.start()
        with pytest.raises(HubError, match="The hub does not run culler, which it did before") as caught:
            verification.verify(deployment, version=version, since=mark)
        assert "no scope to list users" in str(caught.value)


def test_a_hub_that_exits_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    with running_hub("6.1.1", tmp_path) as deployment:
        service = service_of(deployment.service)
        mark = service.log_mark()
        service.stop(30)
        with (tmp_path / "hub.log").open("a") as log:
            log.write("[E 2026-11-20 21:37:29.000 JupyterHub app:1] Refused CONFIGPROXY_AUTH_TOKEN=abc123\n")
        with pytest.raises(HubError, match="The hub (exited|was started, but it does not answer)") as caught:
            verification.verify(deployment, version="6.1.1", since=mark, timeout=2)
        assert "initiating shutdown" in str(caught.value)
        assert "abc123" not in str(caught.value)


def test_a_temporary_token_whose_process_was_killed_expires(hub: Deployment) -> None:
    before = content(hub)
    python = str(environment("6.1.1") / "bin" / "python")
    argv = [python, "-c", source_of(token_lender)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as lender:
        assert lender.stdin and lender.stdout
        url, scopes = database_of(hub.database).url("2.1"), verification.SCOPES
        asked = {"url": url, "seconds": 1, "scopes": scopes, "starts": False}
        lender.stdin.write(json.dumps(asked) + "\n")
        lender.stdin.flush()
        token = json.loads(lender.stdout.readline())["token"]
        lender.send_signal(signal.SIGKILL)
    assert content(hub) != before
    deadline = time.monotonic() + 30
    with pytest.raises(HubError, match="403"):
        while time.monotonic() < deadline:
            hub_api.read(f"{hub.config.hub_api_url}/info", token)
    verification.verify(hub, version="6.1.1")
    assert content(hub) == before


def test_a_process_of_a_token_that_is_to_end_at_once_removes_it_first(tmp_path: Path) -> None:
    """As systemd wants it, when the program that has started it was killed: its input ends, too."""
    with stopped_hub("6.1.1", tmp_path) as hub:
        before = content(hub)
        argv = [f"{hub.hub_environment.path}/bin/python", "-c", source_of(token_lender)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as lender:
            assert lender.stdin and lender.stdout
            url = database_of(hub.database).url("2.1")
            asked = {"url": url, "seconds": 60, "scopes": verification.SCOPES, "starts": False}
            lender.stdin.write(json.dumps(asked) + "\n")
            lender.stdin.flush()
            assert json.loads(lender.stdout.readline())["token"]
            assert content(hub) != before
            lender.stdin.close()
            while lender.poll() is None:
                lender.send_signal(signal.SIGTERM)
                time.sleep(0.001)
        assert content(hub) == before


def test_a_process_of_a_token_makes_no_tables_which_the_hub_that_starts_makes_then(tmp_path: Path) -> None:
    """No migration makes these two, and the later of two who make one at the same time fails."""
    with stopped_hub("6.1.1", tmp_path) as hub:
        with contextlib.closing(sqlite3.connect(database_file(hub))) as database, database:
            database.execute("DROP TABLE share_codes")
            database.execute("DROP TABLE shares")
        place, context = str(hub.hub_environment.path), service_of(hub.service).context()
        with verification.lending(database_of(hub.database), place, context, "", starts=False) as lender:
            assert lender.token()
            assert "shares" not in content(hub)
        assert "shares" not in content(hub)


def test_that_the_process_of_a_token_was_killed_is_no_fault_of_the_database(tmp_path: Path) -> None:
    with stopped_hub("6.1.1", tmp_path) as hub:
        others = {process.pid for process in family(os.getpid())}
        place, context = str(hub.hub_environment.path), service_of(hub.service).context()
        lending = verification.lending(database_of(hub.database), place, context, "", starts=False)
        fails = pytest.raises(HubError, match=r"The process that writes a token .* was ended by signal 9\.")
        with fails, lending as lender:
            assert lender.token()
            for process in list(family(os.getpid())):
                if process.pid not in others:
                    os.kill(process.pid, signal.SIGKILL)


def test_the_log_is_read_from_the_start_of_the_running_process(tmp_path: Path) -> None:
    (tmp_path / "hub.log").write_text("[E 2026-01-31 08:00:00.000 JupyterHub app:1] A fault of last winter\n")
    with running_hub("6.1.1", tmp_path, config="c.JupyterHub.no_such_option = 1\n") as deployment:
        found = verification.verify(deployment, version="6.1.1")
    assert found.errors == []
    assert [line for line in found.unrecognized if "no_such_option" in line]
