"""A hub in a container is upgraded by another image, restored when that fails, and rolled back. Real ones."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import verification
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point, rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import rehearse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import container_helpers, state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.process_records import recorded_in

from tests.hubs.docker.container_hub import (
    IMAGES,
    NEW,
    OLD,
    Hub,
    broken_image,
    container,
    docker,
    wait_until_it_answers,
)
from tests.plans import planned_environment
from tests.testbed.images import image
from tests.testbed.releases import DOES_NOT_START

SETTINGS = ("Env", "Cmd", "Entrypoint", "User", "WorkingDir", "Labels")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    options = ["--label", "site=ours", "--publish", "127.0.0.1::8000", "--restart", "unless-stopped"]
    with container(tmp_path / "data", *options, "--hostname", "hub", "--memory", "512m") as name:
        wait_until_it_answers(name, OLD)
        find_deployment(name)
        yield Hub(name, tmp_path)


def settings(name: str) -> dict[str, Any]:
    """What an upgrade must not change of a container."""
    [found] = json.loads(docker("inspect", name))
    kept = {key: found["Config"][key] for key in (*SETTINGS, "Hostname")}
    return {**kept, "HostConfig": found["HostConfig"], "Mounts": found["Mounts"]}


def test_it_is_upgraded_rolled_back_and_upgraded_again(hub: Hub) -> None:
    before = settings(hub.name)
    assert (before["HostConfig"]["RestartPolicy"]["Name"], before["Labels"]["site"]) == (
        "unless-stopped",
        "ours",
    )
    hub.ask("/users/of-the-old", "POST")
    deployment = find_deployment(hub.name)
    assert hub.stage(image(IMAGES[NEW]))["changed"]
    assert not hub.stage(image(IMAGES[NEW]))["changed"]
    rehearsed = rehearse(deployment, [hub.entry], NEW, hub.folder)
    assert (rehearsed.version, [found for found in rehearsed.findings if found.severity == "blocker"]) == (
        NEW,
        [],
    )
    run_id = hub.arm()
    assert hub.conduct(run_id).phase == journal.VERIFIED
    rollback.accept(hub.folder, run_id)
    assert (hub.version(), hub.users()) == (NEW, ["of-the-old"])
    assert settings(hub.name) == before
    assert docker("inspect", "--format", "{{.Config.Image}}", hub.name) == image(IMAGES[NEW])

    hub.ask("/users/of-the-new", "POST")
    recovery_point.restore(hub.point, 60, 60)
    assert (hub.version(), hub.users()) == (OLD, ["of-the-old"])
    assert verification.verify(deployment, version=OLD).users == 1
    hub.entry = planned_environment(hub.place, NEW, jupyterhub=OLD, kind="image")
    assert settings(hub.name)["HostConfig"] == before["HostConfig"]

    # Whoever tidies up in between takes nothing away that cannot be made again.
    hub.remove_others()
    hub.stage(image(IMAGES[NEW]))
    hub.conduct(hub.arm())
    assert (hub.version(), hub.users(), settings(hub.name)["Env"]) == (NEW, ["of-the-old"], before["Env"])


def test_an_image_is_built_from_the_one_that_it_has(hub: Hub, tmp_path: Path) -> None:
    deployment, before = find_deployment(hub.name), settings(hub.name)
    plan = planner.plan(deployment, NEW, Policy(), InstallerOptions(), str(tmp_path))
    assert plan.blockers == []
    [built] = [each.found.split()[0] for each in plan.findings if each.id == "image-built"]
    # Planned of the same requirements, it is there already.
    [staged] = hub.stage("")["environments"]
    assert staged["packages_after"]["jupyterhub"] == NEW
    [[old], [new]] = (json.loads(docker("image", "inspect", each)) for each in (image(IMAGES[OLD]), built))
    old_config, new_config = (
        {key: each["Config"][key] or None for key in (*SETTINGS, "ExposedPorts")} for each in (old, new)
    )
    # That nobody was named, and that root was, is the same.
    assert new_config == {**old_config, "User": "root"}

    run_id = hub.arm()
    assert hub.conduct(run_id).phase == journal.VERIFIED
    rollback.accept(hub.folder, run_id)
    assert (hub.version(), docker("inspect", "--format", "{{.Config.Image}}", hub.name)) == (NEW, built)
    assert settings(hub.name) == {**before, "User": "root"}
    recovery_point.restore(hub.point, 60, 60)
    assert (hub.version(), settings(hub.name)) == (OLD, before)


def test_an_image_whose_hub_does_not_start(hub: Hub) -> None:
    broken = broken_image(DOES_NOT_START)
    hub.stage(broken)
    before = settings(hub.name)
    run_id = hub.arm()
    with pytest.raises(HubError, match="The hub exited at its start"):
        hub.conduct(run_id)
    ended = hub.now()
    assert (ended.phase, ended.outcome["by"], hub.version()) == (journal.RESTORED, "the host", OLD)
    assert settings(hub.name) == before
    hub.remove_others()
    container_helpers.remove_helpers()
    docker("rmi", broken)


def test_the_guard_restores_the_old_container_when_the_program_is_killed(hub: Hub) -> None:
    hub.stage(image(IMAGES[NEW]))
    before = settings(hub.name)
    begun = hub.begin_to_conduct(hub.arm(), watch=300)
    hub.wait_until(lambda run: run.doing == "verify")
    program = recorded_in(state.guard_folder(hub.folder) / "outage.process")
    assert program
    os.kill(program, signal.SIGKILL)
    ended = hub.wait_until(lambda run: run.is_over)
    assert (ended.phase, ended.outcome["by"], hub.version()) == (journal.RESTORED, "the guard", OLD)
    os.waitpid(begun, 0)
    assert settings(hub.name) == before
