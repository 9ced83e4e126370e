"""Hubs are staged ahead of the window: packages are downloaded once, and the upgrade takes what is there.

The upgrades are carried out by the oldest and the newest supported ansible-core.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import installed_version
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import environment_id

from tests import REPOSITORY, cores
from tests.hubs.fleet_of_hubs import NO_CACHE, TARGET, Fleet, fleet_of_hubs

PLAYBOOKS = sorted((REPOSITORY / "playbooks").glob("*.yml"))
#: The hub that each core upgrades.
HUBS = {"hub1": cores.OLDEST, "hub2": cores.NEWEST}
#: The one that changes between staging and upgrade.
STALE = "hub2"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two hubs, which were staged together."""
    with fleet_of_hubs(tmp_path_factory.mktemp("fleet"), *HUBS) as hubs:
        hubs.playbook("stage.yml", environment=NO_CACHE)
        yield hubs


@pytest.fixture(scope="module", params=HUBS)
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A hub, and the programs of the ansible-core that is to upgrade it."""
    folder = tmp_path_factory.mktemp("core")
    return request.param, cores.install(HUBS[request.param], folder)


def test_each_package_is_downloaded_once_for_all_hubs(fleet: Fleet) -> None:
    for host in HUBS:
        assert installed_version(fleet.staged(host), "jupyterhub") == TARGET
        assert installed_version(fleet.environment(host), "jupyterhub") == "4.1.6"
    wheels = fleet.index.wheels
    assert any(wheel.startswith("jupyterhub-") for wheel in wheels)
    assert sorted(set(wheels)) == sorted(wheels), "a wheel was downloaded more than once"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"jupyterhub_wheels": ""}, "jupyterhub_wheelhouse is set, and jupyterhub_wheels is not."),
        ({"jupyterhub_wheels": "{folder}"}, "{folder} has files that no staging has put there"),
        ({"jupyterhub_packages": ["jupyterhub-no-such-package"]}, "cannot be had for {environment}: "),
    ],
)
def test_it_is_refused_and_a_folder_of_somebody_else_is_left_alone(
    variables: dict[str, Any], said: str, fleet: Fleet, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.whl"
    theirs.touch()
    places = {"folder": str(tmp_path), "environment": str(fleet.environment("hub2"))}
    wanted = {
        name: value.format(**places) if isinstance(value, str) else value for name, value in variables.items()
    }
    printed = fleet.playbook("stage.yml", "--limit", "hub2", variables=wanted, expect_rc=2)
    assert said.format(**places) in " ".join(printed.split())
    assert theirs.exists()


def test_a_core_upgrades_a_hub_by_what_was_staged_without_an_index(
    core: tuple[str, Path], fleet: Fleet, tmp_path: Path
) -> None:
    host, programs = core
    staged, plan = environment_id(fleet.staged(host)), {"jupyterhub_plan": str(tmp_path / "plan.json")}
    notice = fleet.environment(host) / "share/notice.txt"
    if host == STALE:
        notice.write_text("Closed on Sunday\n")
    fleet.index.answers.clear()
    planned = fleet.playbook("plan.yml", "--limit", host, core=programs, variables=plan)
    assert "JupyterHub 4.1.6 -> 6.1.1" in planned and "does not support" not in planned
    assert json.loads((tmp_path / "plan.json").read_text())[host]["action"] == "upgrade"
    assert all((tmp_path / f"plan.{kind}").stat().st_size > 1000 for kind in ("html", "md"))
    upgraded = fleet.playbook("upgrade.yml", "--limit", host, core=programs, variables=plan)
    assert f"{host}: JupyterHub 4.1.6 -> 6.1.1, upgraded" in upgraded
    assert fleet.index.answers == []
    # What has become stale is built again, and says so.
    stale = f"{host}: {fleet.staged(host)} is built again: {fleet.environment(host)} has changed since\n"
    assert (stale in upgraded) == (host == STALE) == notice.exists()
    assert (environment_id(fleet.environment(host)) == staged) == (host != STALE)


def test_a_core_reads_every_playbook(core: tuple[str, Path], fleet: Fleet) -> None:
    fleet.playbook("plan.yml", "--syntax-check", *map(str, PLAYBOOKS), core=core[1])


def test_the_oldest_is_the_one_that_the_collection_requires() -> None:
    runtime = yaml.safe_load((REPOSITORY / "meta/runtime.yml").read_text())
    assert runtime["requires_ansible"] == f">={cores.OLDEST}.0"
