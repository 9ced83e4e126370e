"""A hub in a container whose database is migrated through a release in between. A real one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point, rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import rehearse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests.hubs.docker.container_hub import IMAGES, NEW, Hub, container, docker, wait_until_it_answers
from tests.testbed.images import image

OLD, BETWEEN = "2.3.1", "4.1.6"
#: A server that is registered as running, and the user's whose it is.
REGISTERED = """
INSERT INTO servers (id, proto, ip, port, base_url, cookie_name)
    VALUES (99, 'http', '127.0.0.1', 9, '/user/ada/', 'cookie');
INSERT INTO spawners (user_id, server_id, name) SELECT id, 99, 'one' FROM users WHERE name = 'ada';
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with container(tmp_path / "data", of="container-old") as name:
        wait_until_it_answers(name, OLD)
        find_deployment(name)
        hub = Hub(name, tmp_path)
        hub.ask("/users/ada", "POST")
        yield hub


def built(hub: Hub) -> list[str]:
    """The images that were built from the hub's."""
    return docker("images", "--format", "{{.Tag}}", f"hubops-built/{hub.name}").splitlines()


def test_the_image_of_a_release_in_between_is_built_from_the_hubs(hub: Hub, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "jupyterhub.sqlite")) as database:
        database.executescript(REGISTERED)
    deployment, options = find_deployment(hub.name), InstallerOptions(image=image(IMAGES[NEW]))
    plan = planner.plan(deployment, NEW, Policy(), options, str(tmp_path))
    assert [each.version for each in plan.intermediate_versions] == [BETWEEN]
    assert plan.blockers == []
    hub.entry = plan.environments[0]
    staged = transitions.apply("staged", list(plan.staged), "", options, Progress())
    assert [each["packages_after"]["jupyterhub"] for each in staged["environments"]] == [NEW, BETWEEN]
    assert not transitions.apply("staged", list(plan.staged), "", options, Progress())["changed"]
    assert [tag.partition("-")[0] for tag in built(hub)] == [BETWEEN]
    rehearsal = rehearse(
        *(deployment, plan.environments, NEW, hub.folder),
        intermediate=[each.staged_path for each in plan.intermediate_versions],
    )
    assert [each.found for each in rehearsal.findings if each.severity == "blocker"] == []

    run_id = hub.arm(from_version=OLD, intermediate_versions=plan.intermediate_versions)
    verified = hub.conduct(run_id)
    assert (verified.phase, verified.measured("migrate", "prepared")) == (journal.VERIFIED, "True")
    rollback.accept(hub.folder, run_id)
    assert (hub.version(), hub.users(), built(hub)) == (NEW, ["ada"], [])
    recovery_point.restore(hub.point, 60, 60)
    assert (hub.version(), hub.users()) == (OLD, ["ada"])
