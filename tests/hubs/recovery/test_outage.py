"""The host carries out an outage by itself: to the new hub, or back to the old one. A real hub."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    arming,
    outage,
    recovery_point,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.outage import Settings
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import guard, journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.process_records import recorded_in

from tests.hubs.real_hub import build, running_hub
from tests.plans import plan_to, planned_environment
from tests.testbed.releases import APP, DOES_NOT_START

OLD, NEW = "4.1.6", "6.1.1"
ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "ansible-playbook upgrade.yml"}
PATIENCE = 120
STEPS = ["stop", "seal", "migrate", "switch", "start", "verify"]


class Hub:
    """A hub whose upgrade is staged; each run upgrades it from the same state."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.name, self.base, self.kept = deployment.name, folder / "state", folder / "kept"
        self.folder = state.state_folder(self.name, str(self.base))
        self.entry = planned_environment(Path(deployment.hub_environment.path), NEW, jupyterhub=OLD)
        stage(self.entry, Installer(InstallerOptions(), self.entry.path), Progress())
        Path(self.entry.staged_path).rename(self.kept)

    @property
    def staged(self) -> Path:
        return Path(self.entry.staged_path)

    def arm(self, unconfirmed: str = journal.KEEP) -> str:
        """Prepare a run up to its outage; its id."""
        deployment, plan = find_deployment(self.name), plan_to(NEW, self.entry)
        self.api_url = deployment.config.hub_api_url
        shutil.copytree(self.kept, self.staged, symlinks=True)
        run = journal.begin(self.folder, ADA, 600, deployment=deployment, plan=plan, unconfirmed=unconfirmed)
        self.point = recovery_point.create(deployment, plan, str(self.base), [], 10)
        arming.arm(self.folder, run.id, self.point)
        return run.id

    def conduct(self, run_id: str, watch: float = 0) -> journal.Run:
        return outage.conduct(self.folder, run_id, Settings(start_timeout=60, watch=watch))

    def now(self) -> journal.Run:
        found = journal.read(self.folder)
        assert found
        return found

    def wait_until(self, condition: Callable[[journal.Run], bool]) -> journal.Run:
        deadline = time.monotonic() + PATIENCE
        while not condition(found := self.now()):
            assert time.monotonic() < deadline, f"{found.phase} {found.doing} {found.outcome}"
            time.sleep(0.02)
        return found

    def fall_silent(self) -> None:
        """Let the run's heartbeat be too old, from now on."""
        run = self.now()
        run.confirm_timeout = -1
        journal.write(self.folder, run)

    def version(self) -> str | None:
        return api.version(self.api_url)

    def make_old(self) -> None:
        """End what a test has left, and have the old hub again."""
        with suppress(HubError):
            rollback.roll_back(self.folder, "hand", "")
        recovery_point.restore(self.point, 60, 60)
        shutil.rmtree(self.staged, ignore_errors=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("outage")
    place = folder / "environment"
    build(place, OLD)
    with running_hub(OLD, folder, place=place) as deployment:
        yield Hub(deployment, folder)


@pytest.fixture
def hub(shared: Hub) -> Iterator[Hub]:
    yield shared
    shared.make_old()


def test_the_host_upgrades_and_the_controller_accepts(hub: Hub) -> None:
    run_id = hub.arm()
    verified = hub.conduct(run_id)
    assert (verified.phase, hub.version()) == (journal.VERIFIED, NEW)
    taken = {phase.name: phase for phase in verified.phases}
    assert [name for name in taken if name in STEPS] == STEPS
    assert {taken[name].result for name in STEPS[:-1]} == {journal.CHANGED}
    assert taken["verify"].measured["sys_executable"].startswith(hub.entry.path)
    assert all(taken[name].seconds > 0 for name in STEPS)
    assert hub.conduct(run_id).phase == journal.VERIFIED, "it is carried out twice"
    outcome = rollback.accept(hub.folder, run_id)
    assert (outcome["ended"], outcome["by"], outcome["left"]) == ("new", "the upgrade", [])
    assert not state.guard_folder(hub.folder).exists()


def test_a_step_that_fails_is_followed_by_the_restore(hub: Hub) -> None:
    run_id = hub.arm()
    app = next(hub.staged.glob(f"lib/python*/site-packages/{APP}"))
    with app.open("a") as file:
        file.write(DOES_NOT_START)
    with pytest.raises(HubError, match="The hub exited at its start"):
        hub.conduct(run_id)
    ended = hub.now()
    assert (ended.phase, ended.outcome["by"], ended.outcome["task"]) == (
        journal.RESTORED,
        "the host",
        "start",
    )
    assert hub.version() == OLD
    assert not hub.staged.exists()
    assert not state.guard_folder(hub.folder).exists()
    remembered = journal.failed_upgrade(hub.folder)
    assert remembered and remembered.run == run_id
    assert "The hub exited at its start" in remembered.reason


def test_the_guard_restores_the_old_hub_when_the_program_is_killed(hub: Hub) -> None:
    run_id = hub.arm()
    record = state.guard_folder(hub.folder) / "outage.process"
    begun = os.fork()
    if begun == 0:
        with suppress(BaseException):
            hub.conduct(run_id, watch=300)
        os._exit(0)
    hub.wait_until(lambda run: run.doing == "verify")
    program = recorded_in(record)
    assert program
    os.kill(program, signal.SIGKILL)
    killed_at = time.monotonic()
    hub.wait_until(lambda run: run.phase == journal.RESTORING)
    assert time.monotonic() - killed_at < 10
    ended = hub.wait_until(lambda run: run.is_over)
    assert ended.outcome["by"] == "the guard"
    assert ended.outcome["reason"] == "the program that carried out its outage was ended"
    assert hub.version() == OLD
    assert os.waitpid(begun, 0)[1] == 0, "whoever waits for the outage is not told"


@pytest.mark.parametrize(
    ("unconfirmed", "phase", "version"),
    [(journal.KEEP, journal.ACCEPTED, NEW), (journal.RESTORE, journal.RESTORED, OLD)],
)
def test_a_verified_hub_that_nobody_accepts(hub: Hub, unconfirmed: str, phase: str, version: str) -> None:
    run_id = hub.arm(unconfirmed)
    hub.conduct(run_id)
    hub.fall_silent()
    ended = hub.wait_until(lambda run: run.is_over)
    assert (ended.phase, ended.outcome["by"], hub.version()) == (phase, "the guard", version)
    hub.wait_until(lambda run: not guard.is_active(hub.folder))
    if unconfirmed == journal.KEEP:
        assert rollback.accept(hub.folder, run_id)["by"] == "the guard", "a late controller is not told"
    else:
        with pytest.raises(HubError, match="came too late.*was ended by the guard"):
            rollback.accept(hub.folder, run_id)
