"""Any recovery point can be restored, from any state, and after any number of interruptions."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.transitions import switch
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    catalogue,
    manifest,
    recovery_point,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import exchange as exchanging
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.trees import tree_sha256

from tests.healthy_hub import at as hub_at
from tests.hubs.small_wheels import UV, make_hub_wheel, make_venv
from tests.plans import plan_to, planned_environment

# What a restore does to the file system, as Python's audit events.
STEPS = ("os.rename", "os.link", "os.remove", "os.chmod", "os.chown", "shutil.copyfile")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels of four versions and an environment of the oldest."""
    folder = tmp_path_factory.mktemp("made")
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        make_hub_wheel(folder / "wheels", version)
    make_venv(folder / "old", folder / "wheels", "jupyterhub==1.0.0")
    return folder


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")


class Host:
    """A stopped hub: an environment, a database and a config, with all that upgrades do to them."""

    def __init__(self, made: Path, folder: Path, strategy: str = "copy") -> None:
        self.wheels, self.folder, self.strategy = made / "wheels", folder, strategy
        self.place, self.database, self.config = folder / "hub", folder / "hub.sqlite", folder / "config.py"
        shutil.copytree(made / "old", self.place, symlinks=True)
        self.config.write_text("version = '1.0.0'\n")
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(
                "create table alembic_version (version_num text);"
                "insert into alembic_version values ('1.0.0');"
                "create table users (id integer primary key, name text);"
                "insert into users (name) values ('ada');"
            )

    @property
    def base(self) -> str:
        return str(self.folder / "state")

    @property
    def points(self) -> Path:
        return self.folder / "state/hub/recovery"

    def deployment(self) -> Deployment:
        return hub_at(self.folder, self.place, config__files=[str(self.config)])

    def write(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.execute(statement)
            connection.commit()

    def add_user(self, name: str) -> None:
        self.write(f"insert into users (name) values ('{name}')")

    def save(self, plan: Plan | None = None) -> Path:
        """A sealed recovery point of what is now; for a rollback unless there is a plan."""
        time.sleep(max(0, 1 - time.time() % 1))  # ids differ by the second
        purpose = "" if plan else "rollback"
        point = recovery_point.create(self.deployment(), plan, self.base, [], 5, purpose)
        recovery_point.seal(point, 5)
        return point

    def upgrade(self, version: str) -> Path:
        """Upgrade, and return the recovery point of the state before."""
        old = read_environment(self.place).jupyterhub
        entry = planned_environment(self.place, version, strategy=self.strategy, jupyterhub=old)
        stage(entry, self.installer(), Progress())
        point = self.save(plan_to(version, entry))
        self.write(f"update alembic_version set version_num = '{version}'")
        self.write(f"create table of_{version[0]} (id integer)")
        switch([entry], point.name, lambda _path: self.installer(), Progress())
        self.config.write_text(f"version = '{version}'\n")
        return point

    def installer(self) -> Installer:
        return Installer(InstallerOptions(wheels=str(self.wheels)), str(self.place))

    def restore(self, point: Path) -> None:
        recovery_point.make_equal(point, manifest.read(point), point / "replaced")

    def state(self) -> tuple[str, list[Any], str, str | None]:
        """Everything that makes the hub: hash of its environment, rows and tables, config, version."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            rows = list(connection.execute("select name from users order by id"))
            rows += list(connection.execute("select name from sqlite_master order by name"))
            rows += list(connection.execute("select version_num from alembic_version"))
        version = read_environment(self.place).jupyterhub
        return tree_sha256(self.place), rows, self.config.read_text(), version

    def beside(self) -> set[str]:
        """Names of the files and folders beside the environment."""
        return {path.name for path in self.folder.glob("hub.*") if path != self.database}

    def differs(self, point: Path) -> list[str]:
        return [each.path for each in recovery_point.differences(point, recovery_point.verify(point, True))]


@pytest.fixture(params=["copy", "in_place"])
def host(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    return Host(made, tmp_path, request.param)


@pytest.fixture
def upgraded(host: Host) -> tuple[Host, Path, Any]:
    """A host after an upgrade, the recovery point, and the state before."""
    before = host.state()
    return host, host.upgrade("2.0.0"), before


def test_a_failed_upgrade_s_environment_goes_where_it_was_staged(upgraded: tuple[Host, Path, Any]) -> None:
    host, point, before = upgraded
    assert host.differs(point) == [str(host.place), str(host.database), str(host.config)]
    host.restore(point)
    assert host.state() == before
    assert host.differs(point) == []
    assert host.beside() == {"hub.staged-2.0.0"}
    host.restore(point)
    assert host.state() == before
    assert host.beside() == {"hub.staged-2.0.0"}


def test_two_upgrades_and_two_rollbacks(upgraded: tuple[Host, Path, Any]) -> None:
    host, first, before = upgraded
    host.add_user("grace")
    after = host.state()
    second = host.save()
    host.restore(first)
    assert host.state() == before
    assert host.beside() == {f"hub.before-{second.name}"}
    third = host.save()
    host.restore(second)
    assert host.state() == after
    assert host.beside() == {f"hub.before-{third.name}"}
    for point, state in [(first, before), (second, after), (third, before)]:
        host.save()
        host.restore(point)
        assert host.state() == state
        assert host.differs(point) == []


def test_two_upgrades_and_a_rollback_to_before_the_first(host: Host) -> None:
    states = [host.state()]
    points = []
    for version in ("2.0.0", "3.0.0"):
        points.append(host.upgrade(version))
        host.add_user(f"user of {version}")
        states.append(host.state())
    points.append(host.save())
    host.restore(points[0])
    assert host.state() == states[0]
    assert host.differs(points[0]) == []
    for number in (2, 1, 2, 0, 1):
        host.save()
        host.restore(points[number])
        assert host.state() == states[number]
        assert host.differs(points[number]) == []


def test_the_newest_that_leads_elsewhere_is_chosen(host: Host) -> None:
    def chosen() -> str:
        return str(catalogue.choose(catalogue.listed(host.base)).id)

    with pytest.raises(HubError, match="There is no recovery point on this host"):
        chosen()
    before = host.upgrade("2.0.0")
    assert chosen() == before.name
    backup = host.save()
    assert chosen() == before.name, "a backup of the present state is no rollback"
    second = host.save()
    host.restore(before)
    assert chosen() == second.name, "a second rollback takes back the first"
    shutil.rmtree(before)
    shutil.rmtree(second)
    shutil.rmtree(backup)
    here = host.save()
    with pytest.raises(HubError, match="The hub is in the state of all its 1 recovery points"):
        chosen()
    listed = catalogue.listed(host.base)
    assert catalogue.choose(listed, here.name).id == here.name
    with pytest.raises(HubError, match="There is no recovery point yesterday on this host"):
        catalogue.choose(listed, "yesterday")


def test_points_of_several_hubs_are_not_mixed_up(host: Host) -> None:
    host.upgrade("2.0.0")
    shutil.copytree(host.points.parent, host.points.parents[1] / "other")
    with pytest.raises(HubError, match="several hubs on this host: hub, other"):
        catalogue.choose(catalogue.listed(host.base))
    for name in ("other", "other.service", "group:other"):
        (found,) = catalogue.listed(host.base, name)
        assert found.deployment == "other"


def test_a_missing_environment_is_reported_before_anything_is_changed(
    upgraded: tuple[Host, Path, Any],
) -> None:
    host, point, _before = upgraded
    shutil.rmtree(f"{host.place}.before-{point.name}")
    after = host.state()
    with pytest.raises(HubError) as refusal:
        recovery_point.restore(point, 5, 5)
    assert f"the environment of {host.place} with JupyterHub 1.0.0 is gone" in str(refusal.value)
    assert host.state() == after
    (listed,) = catalogue.listed(host.base)
    assert listed.problem == f"The environment of {host.place} is gone."


def test_every_kept_file_is_verified_before_anything_is_changed(upgraded: tuple[Host, Path, Any]) -> None:
    host, point, _before = upgraded
    after = host.state()
    for victim in [path for path in sorted(point.rglob("*")) if path.is_file()]:
        content = victim.read_bytes()
        victim.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(HubError):
            recovery_point.restore(point, 5, 5)
        victim.write_bytes(content)
    assert host.state() == after
    recovery_point.verify(point, environments=True)


@pytest.mark.parametrize("fault", ["readable for all", "missing", "another owner"])
def test_a_database_gets_its_owner_and_mode_again(upgraded: tuple[Host, Path, Any], fault: str) -> None:
    host, point, before = upgraded
    host.restore(point)
    mode = host.database.stat().st_mode
    if fault == "readable for all":
        host.database.chmod(0o666)
    elif fault == "missing":
        host.database.unlink()
    elif os.geteuid() == 0:
        os.chown(host.database, 12345, 12345)
    else:
        host.database.chmod(0o400)
    assert host.differs(point) == [str(host.database)]
    host.restore(point)
    assert (host.database.stat().st_mode, host.database.stat().st_uid) == (mode, os.geteuid())
    assert host.state() == before
    assert host.differs(point) == []


@pytest.mark.parametrize("sidecar", ["-wal", "-shm", "-journal"])
def test_what_a_dead_hub_left_beside_its_database_does_not_reach_the_old_one(
    upgraded: tuple[Host, Path, Any], sidecar: str
) -> None:
    host, point, before = upgraded
    left = Path(f"{host.database}{sidecar}")
    left.write_bytes(os.urandom(4096))
    host.restore(point)
    assert not left.exists()
    assert (point / "replaced" / left.name).stat().st_size == 4096
    assert host.state() == before


def restore_and_die(host: Host, point: Path, step: int) -> bool:
    """Restore in a process that is killed at its n-th step; return whether it lived to the end."""
    child = os.fork()
    if not child:
        left = step

        def count(event: str, _arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in STEPS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            host.restore(point)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "it failed by itself"
    return status == 0


@pytest.mark.parametrize("way", ["at once", "by renames"])
@pytest.mark.parametrize("rollback", [False, True])
@pytest.mark.parametrize("strategy", ["copy", "in_place"])
def test_killed_three_times_wherever(
    made: Path, tmp_path: Path, strategy: str, rollback: bool, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off at its n-th step, three times; then it is finished, and finds nothing left to do."""
    template = tmp_path / "template"
    template.mkdir()
    host = Host(made, template, strategy)
    before = host.state()
    point = host.upgrade("2.0.0")
    host.add_user("grace")
    saved = host.save() if rollback else None
    if way == "by renames":
        monkeypatch.setattr(exchanging, "_exchange_at_once", lambda place, other: False)
    survived, step = False, 0
    while not survived:
        shutil.rmtree(tmp_path / "template.kept", ignore_errors=True)
        subprocess.run(["cp", "-a", template, tmp_path / "template.kept"], check=True)
        survived = all([restore_and_die(host, point, step) for _time in range(3)])
        host.restore(point)
        recovery_point.verify(point, environments=True)
        assert host.state() == before, f"step {step}"
        assert host.differs(point) == []
        expected = {f"hub.before-{saved.name}"} if saved else {"hub.staged-2.0.0"}
        assert host.beside() == expected, f"step {step}"
        if saved:
            host.restore(saved)
            assert host.differs(saved) == []
        shutil.rmtree(template)
        (tmp_path / "template.kept").rename(template)
        step += 1
    assert step > 3
