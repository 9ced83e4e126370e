"""Old hubs end when they are asked to, and leave the proxy running for their users' servers. Real hubs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import (
    lifecycle,
    proxy_route,
    users_servers,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.users_servers import Attendant
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of

from tests.hubs.real_hub import running_hub


@pytest.mark.parametrize("version", ["1.5.1", "2.3.1"])
def test_a_hub_ends_by_itself_and_the_next_one_finds_its_proxy(tmp_path: Path, version: str) -> None:
    with running_hub(version, tmp_path) as deployment:
        service, base = service_of(deployment.service), str(tmp_path / "state")
        proxy, mark = proxy_route.pid_of(deployment), service.log_mark()
        with users_servers.attending(deployment, tmp_path) as hub:
            assert hub.listed() == [] and hub.takes_shut_down()
            lifecycle.stop(deployment, base, "test", 60, hub.shut_down)
        assert not [line for line in service.log_since(mark) if "signal" in line], (
            "it was ended by its manager"
        )
        assert api.ask(deployment.config.public_url).status == 503
        assert proxy_route.pid_of(deployment) == proxy
        lifecycle.start(deployment, base, version, 60)
        through_proxy = f"{deployment.config.public_url}hub/api"
        lifecycle.wait_for_version(service, through_proxy, version, 60, mark)
        assert proxy_route.pid_of(deployment) not in (proxy, None)


def test_a_hub_that_refuses_is_not_stopped(tmp_path: Path) -> None:
    with running_hub("6.1.1", tmp_path) as deployment:
        refused = Attendant(deployment, "no-token")
        assert not refused.takes_shut_down()
        with pytest.raises(HubError, match="was to end, and answered 403"):
            lifecycle.stop(deployment, str(tmp_path / "state"), "test", 60, refused.shut_down)
        assert api.version(deployment.config.hub_api_url) == "6.1.1"
