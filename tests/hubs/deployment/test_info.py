from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import (
    find_services,
    service_of,
)

from tests.hubs.module import run_module
from tests.hubs.real_hub import environment, free_ports, running_hub, supervise

CONFIG = "c.Spawner.cmd = ['{folder}/users/bin/jupyterhub-singleuser']\nc.JupyterHub.services = []\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[Deployment]:
    # The users' environment is named by a link, as administrators do who keep several.
    (folder / "users").symlink_to(environment("3.1.1"))
    with running_hub("4.1.6", folder, config=CONFIG.format(folder=folder)) as found:
        yield found


def info(**options: Any) -> dict[str, Any]:
    return run_module("jupyterhub_info", options)


def test_a_running_hub_is_described(hub: Deployment, folder: Path) -> None:
    files = set(os.listdir(folder))
    result = info(service=hub.name)
    assert not result["failed"] and result["changed"] is False
    found = result["deployment"]
    assert found["service"]["manager"] == "supervisord"
    assert found["service"]["state"] == "running"
    assert found["service"]["main_pid"] == service_of(hub.service).main_pid()
    assert found["service"]["working_directory"] == str(folder)
    assert found["config"]["file"] == f"{folder}/jupyterhub_config.py"
    assert found["database"]["path"] == f"{folder}/jupyterhub.sqlite"
    assert found["database"]["revision"] == "0eee8c825d24"
    assert found["database"]["rows"]["users"] == 5
    assert found["secrets"]["cookie_secret_file"]["mode"] == "0600"
    assert found["proxy"]["managed"] is True
    assert found["spawner"]["class_name"] == "jupyterhub.spawner.SimpleLocalProcessSpawner"
    assert found["authenticator"]["class_name"] == "jupyterhub.auth.DummyAuthenticator"
    assert found["hub_environment"]["path"] == str(environment("4.1.6"))
    assert found["hub_environment"]["jupyterhub"] == "4.1.6"
    [users] = found["user_environments"]
    assert (users["path"], users["jupyterhub"]) == (f"{folder}/users", "3.1.1")
    assert set(os.listdir(folder)) == files
    secret = (folder / "jupyterhub_cookie_secret").read_text().strip()
    assert secret and secret not in str(result)


def test_check_mode_finds_the_same(hub: Deployment) -> None:
    checked = run_module("jupyterhub_info", {"service": hub.name}, check=True)
    assert checked["changed"] is False
    assert checked["deployment"] == info(service=hub.name)["deployment"]


def test_what_is_given_is_used_instead(hub: Deployment, folder: Path) -> None:
    other = folder / "other.py"
    other.write_text("c.JupyterHub.base_url = '/other/'\n")
    found = info(
        service=hub.name,
        config_file=str(other),
        hub_environment=str(environment("5.4.6")),
        user_environments=[str(environment("2.3.1")), str(environment("5.4.6"))],
        database_path=str(folder / "nothing.sqlite"),
    )["deployment"]
    assert found["config"]["base_url"] == "/other/"
    assert found["hub_environment"]["jupyterhub"] == "5.4.6"
    # That config leaves the command to JupyterHub's default, which the service's PATH leads to; and the
    # hub's own environment is not named twice.
    assert [each["jupyterhub"] for each in found["user_environments"]] == ["4.1.6", "2.3.1"]
    assert found["database"]["exists"] is False
    assert not (folder / "nothing.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"service": "no-such-hub"}, "There is no service no-such-hub on this host that runs a hub."),
        ({"hub_environment": "/nowhere"}, "There is no Python environment at /nowhere."),
        ({"user_environments": ["/nowhere/*"]}, "There is no Python environment at /nowhere/*."),
        ({"config_file": "/nowhere/config.py"}, "The hub's config does not load: "),
    ],
)
def test_bad_input(hub: Deployment, options: dict[str, Any], message: str) -> None:
    result = info(**{"service": hub.name, **options})
    assert result["failed"]
    assert result["msg"].startswith(message)


def test_a_config_that_does_not_load(hub: Deployment, folder: Path) -> None:
    broken = folder / "broken.py"
    broken.write_text("c.JupyterHub.port = 8000\nundefined\n")
    result = info(service=hub.name, config_file=str(broken))
    assert result["failed"]
    assert result["msg"] == (
        f"The hub's config does not load: NameError: name 'undefined' is not defined ({broken}:2). "
        "Fix what the error names. What a script of the service sets is known while its hub runs."
    )
    assert service_of(hub.service).state() == "running"


def test_a_hub_behind_a_script_is_found_from_its_process(tmp_path: Path) -> None:
    proxy_port, api_port, hub_port = free_ports(3)
    bin_folder = environment("4.1.6") / "bin"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "jupyterhub_config.py").write_text(
        f"c.JupyterHub.bind_url = 'http://127.0.0.1:{proxy_port}'\nc.JupyterHub.hub_port = {hub_port}\n"
        f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{api_port}'\n"
    )
    (tmp_path / "start").write_text(
        f"#!/bin/sh\ncd {tmp_path}/data\nexport PATH={bin_folder}:/usr/bin:/bin\njupyterhub --debug\n"
    )
    (tmp_path / "start").chmod(0o755)
    name = f"script-{os.getpid()}"
    (tmp_path / "supervisord.conf").write_text(
        f"[supervisord]\nlogfile={tmp_path}/supervisord.log\npidfile={tmp_path}/supervisord.pid\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[unix_http_server]\nfile={tmp_path}/s.sock\n"
        f"[program:{name}]\ncommand={tmp_path}/start\nautostart=false\nstopasgroup=true\n"
    )
    with supervise(tmp_path):
        [service] = find_services(name)
        assert name not in [each.name for each in find_services()]
        stopped = info(service=name)
        service.start()
        deadline = time.monotonic() + 30
        while service.running_hub_command() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert name in [each.name for each in find_services()]
        found = info(service=name)["deployment"]
        service.stop(30)
    assert stopped["failed"]
    assert stopped["msg"].startswith("The environment of the hub cannot be determined from the command of")
    assert found["hub_environment"]["path"] == str(environment("4.1.6"))
    assert found["service"]["working_directory"] == f"{tmp_path}/data"
    assert found["config"]["file"] == f"{tmp_path}/data/jupyterhub_config.py"
    assert found["database"]["path"] == f"{tmp_path}/data/jupyterhub.sqlite"
