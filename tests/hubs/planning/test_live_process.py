"""The hub that runs against what would be started: real hubs, and what changed since they were started."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.verification import verify
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import host
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services

from tests.hubs.real_hub import environment, free_ports, link_environment, running_hub, supervised

VERSION = "4.1.6"
SUBJECT = ("hub-", "proxy-does", "proxy-elsewhere", "packages-replaced", "changed-since-start")


def findings_of(deployment: Deployment, folder: Path) -> dict[str, Finding]:
    """What is found about the running hub, by ids."""
    found = host.look(deployment, str(folder / "state"), "")
    plan = make_plan(deployment, Target("6.1.1", ">=3.10"), found, Policy())
    return {each.id: each for each in plan.findings if each.id.startswith(SUBJECT)}


def later(path: Path) -> None:
    """Let a file have been written a minute after now: clocks of files and processes differ by moments."""
    moment = time.time() + 60
    os.utime(path, (moment, moment))


@pytest.mark.parametrize("version", ["1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6"])
def test_a_hub_that_is_as_it_was_started(version: str, tmp_path: Path) -> None:
    with running_hub(version, tmp_path) as deployment:
        assert findings_of(deployment, tmp_path) == {}


def test_what_changed_since_the_start(tmp_path: Path) -> None:
    place = link_environment(VERSION, tmp_path / "env")
    included = tmp_path / "included.py"
    included.write_text("a = 1\n")
    config = f"exec(open({str(included)!r}).read())\n"
    with running_hub(VERSION, tmp_path, place=place, config=config) as deployment:
        later(included)
        [metadata] = place.glob("lib/python3*/site-packages/tornado-*.dist-info")
        later(metadata)
        found = findings_of(deployment, tmp_path)["changed-since-start"]
    assert found.severity == "warning"
    assert found.found == (
        f"The hub {deployment.name} runs as it was started before: {included} is newer than its process; "
        f"packages of {place} are newer than its process: tornado."
    )


def test_a_service_that_has_another_command_now(tmp_path: Path) -> None:
    config = tmp_path / "supervisord.conf"
    with running_hub(VERSION, tmp_path) as deployment:
        moment = config.stat().st_mtime
        command = f"jupyterhub -f {tmp_path}/jupyterhub_config.py"
        text = config.read_text().replace(command, f"{command} --ConfigurableHTTPProxy.auth_token=hush")
        config.write_text(text.replace("environment=", 'environment=SITE="a secret",'))
        os.utime(config, (moment, moment))
        found = findings_of(find_deployment(deployment.name), tmp_path)["changed-since-start"].found
    assert f"arguments `-f {tmp_path}/jupyterhub_config.py`, and the service now has" in found
    assert "the service now has other values for SITE" in found
    assert "hush" not in found and "a secret" not in found


def test_a_hub_that_exits_soon_after_each_start(tmp_path: Path) -> None:
    # Ends it before it has a proxy, but later than supervisord takes for a failed start.
    config = "import time\ntime.sleep(1)\nc.JupyterHub.load_roles = [{'name': 'x', 'scopes': ['no:such']}]\n"
    with supervised(VERSION, tmp_path, config) as name:
        [service] = find_services(name)
        service.start()
        log, deadline = tmp_path / "hub.log", time.monotonic() + 120
        deployment = find_deployment(name)
        while (
            log.read_text().count("Running JupyterHub version") < 4 or deployment.service.state != "running"
        ):
            assert time.monotonic() < deadline, log.read_text()
            deployment = find_deployment(name)
        found = findings_of(deployment, tmp_path)
        service.stop(20)
    assert found.keys() == {"hub-not-running"}
    said = found["hub-not-running"].found
    assert said.startswith(f"The hub {name} does not stay up. It has exited ")
    assert "The end of its log:\n" in said


@contextlib.contextmanager
def external_proxy(folder: Path) -> Iterator[tuple[int, str]]:
    """A proxy that nobody's hub starts: its public port, and the config of a hub that uses it."""
    port, api_port = free_ports(2)
    argv = [f"{environment(VERSION)}/bin/configurable-http-proxy", "--ip", "127.0.0.1", "--port", str(port)]
    proxy = subprocess.Popen(
        [*argv, "--api-ip", "127.0.0.1", "--api-port", str(api_port)],
        env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": "token"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield (
            port,
            "c.ConfigurableHTTPProxy.should_start = False\nc.ConfigurableHTTPProxy.auth_token = 'token'\n"
            f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{api_port}'\n",
        )
    finally:
        proxy.terminate()
        proxy.wait(10)


def test_an_external_proxy_at_the_configured_address(tmp_path: Path) -> None:
    with external_proxy(tmp_path) as (port, config):
        config += f"c.JupyterHub.bind_url = 'http://127.0.0.1:{port}/'\n"
        with running_hub(VERSION, tmp_path, config=config) as deployment:
            assert deployment.proxy.answers
            assert findings_of(deployment, tmp_path) == {}
            assert verify(deployment, version=VERSION).users == 5


@pytest.mark.parametrize("version", ["1.5.1", VERSION])
def test_an_external_proxy_elsewhere(version: str, tmp_path: Path) -> None:
    [nowhere] = free_ports(1)
    with external_proxy(tmp_path) as (_port, config):
        config += f"c.JupyterHub.bind_url = 'http://127.0.0.1:{nowhere}/'\n"
        with running_hub(version, tmp_path, config=config) as deployment:
            found = findings_of(deployment, tmp_path)
            assert found.keys() == {"proxy-elsewhere"}
            assert found["proxy-elsewhere"].severity == "warning"
            assert verify(deployment, version=version).users == 5


def test_an_external_proxy_that_has_lost_its_route(tmp_path: Path) -> None:
    [nowhere] = free_ports(1)
    with external_proxy(tmp_path) as (_port, config):
        config += f"c.JupyterHub.bind_url = 'http://127.0.0.1:{nowhere}/'\n"
        with running_hub(VERSION, tmp_path, config=config) as deployment:
            api = config.partition("api_url = '")[2].partition("'")[0]
            argv = ["curl", "-sf", "-X", "DELETE", "-H", "Authorization: token token", f"{api}/api/routes/"]
            subprocess.run(argv, check=True)
            with pytest.raises(HubError, match="The external proxy has no route to the hub"):
                verify(deployment, version=VERSION)
