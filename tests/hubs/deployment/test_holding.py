"""While a hub is exchanged its own proxy serves until the next hub is about to look for it. Real hubs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import (
    lifecycle,
    proxy_route,
    users_servers,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.holding import holding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import birth, is_alive

from tests.hubs.real_hub import running_hub

PATIENCE = 60
LOOK = 0.02
#: Hubs that wait, once they have read their config or just before they look for the old proxy.
CONFIG = """
import os, time
from jupyterhub.proxy import ConfigurableHTTPProxy

def wait(file):
    while not os.path.exists(file):
        time.sleep({look})

class LateProxy(ConfigurableHTTPProxy):
    async def start(self):
        wait("{folder}/may-look")
        await super().start()

wait("{folder}/may-open")
c.JupyterHub.proxy_class = LateProxy
"""


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(LOOK)


@pytest.mark.parametrize("version", ["2.3.1", "6.1.1"])
def test_the_next_hub_does_not_have_to_end_the_proxy(tmp_path: Path, version: str) -> None:
    config = CONFIG.format(folder=tmp_path, look=LOOK)
    may_open, may_look = tmp_path / "may-open", tmp_path / "may-look"
    may_open.touch()
    may_look.touch()
    with running_hub(version, tmp_path, config=config) as deployment:
        service, base = service_of(deployment.service), str(tmp_path / "state")
        old = proxy_route.pid_of(deployment)
        assert old
        with users_servers.attending(deployment, tmp_path) as hub, holding(deployment):
            assert hub.takes_shut_down()
            lifecycle.stop(deployment, base, "test", PATIENCE, hub.shut_down)
            may_open.unlink()
            may_look.unlink()
            mark = service.log_mark()
            start = threading.Thread(target=lifecycle.start, args=(deployment, base, version, PATIENCE))
            start.start()
            wait_until(lambda: service.hub_process() is not None)
            # One that cannot read its config leaves the old proxy, and the page that it shows.
            assert is_alive(old)
            may_open.touch()
            # Reaped, too: until then a hub takes it for running.
            wait_until(lambda: not birth(old))
            may_look.touch()
            start.join(PATIENCE)
        assert not [line for line in service.log_since(mark) if "Proxy still running" in line]
        assert proxy_route.pid_of(deployment) not in (old, None)
        lifecycle.wait_for_version(service, f"{deployment.config.public_url}hub/api", version, PATIENCE, mark)
