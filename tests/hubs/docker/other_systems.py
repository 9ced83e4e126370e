"""A hub in a container of another Linux userland is upgraded and rolled back: ``make other-systems``.

Its images take longer than what every run of the suite has for them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point, rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import rehearse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests.hubs.docker.container_hub import NEW, OLD, Hub, container, docker, wait_until_it_answers
from tests.testbed.images import image


@pytest.mark.parametrize(("system", "pretty", "python"), [("debian-13", "trixie", "3.13")])
def test_another_userland(system: str, pretty: str, python: str, tmp_path: Path) -> None:
    new = image(f"container-new-{system}")
    with container(tmp_path / "data", of=f"container-{system}") as name:
        wait_until_it_answers(name, OLD)
        assert pretty in docker("exec", name, "cat", "/etc/os-release")
        deployment = find_deployment(name)
        assert (deployment.hub_environment.python_version or "").startswith(python)
        hub = Hub(name, tmp_path)
        hub.ask("/users/of-the-old", "POST")
        hub.stage(new)
        rehearsed = rehearse(deployment, [hub.entry], NEW, hub.folder)
        assert [found for found in rehearsed.findings if found.severity == "blocker"] == []
        run_id = hub.arm()
        assert hub.conduct(run_id).phase == journal.VERIFIED
        rollback.accept(hub.folder, run_id)
        assert (hub.version(), hub.users()) == (NEW, ["of-the-old"])
        hub.ask("/users/of-the-new", "POST")
        recovery_point.restore(hub.point, 60, 60)
        assert (hub.version(), hub.users()) == (OLD, ["of-the-old"])
        assert verification.verify(deployment, version=OLD).users == 1
