"""Switching to the new environments and back, also after an interruption at any step."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import switching
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import installed_version
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.switching import (
    Situation,
    is_restored,
    is_switched,
    remove_leftovers,
    situation,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.transitions import (
    switch,
    switch_back,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import exchange as exchanging

from tests.hubs.small_wheels import UV, fingerprint, make_hub_wheel, make_venv
from tests.plans import planned_environment

POINT = "20261120T211500Z-1.0.0-2.0.0"


class Interrupted(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels, an environment of the old version and its staged successor, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        make_hub_wheel(folder / "wheels", version)
    make_venv(folder / "old", folder / "wheels", "jupyterhub==1.0.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")
        stage(
            planned_environment(folder / "old", "2.0.0"),
            Installer(InstallerOptions(wheels=str(folder / "wheels")), str(folder / "old")),
            Progress(),
        )
    return folder


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")


class Scene:
    """One environment with its successor beside it."""

    def __init__(self, made: Path, folder: Path, strategy: str = "copy") -> None:
        self.wheels = made / "wheels"
        self.place = folder / "hub"
        shutil.copytree(made / "old", self.place, symlinks=True)
        self.entry = planned_environment(self.place, "2.0.0", strategy=strategy)
        self.staged = Path(self.entry.staged_path)
        self.before = folder / f"hub.before-{POINT}"
        self.content = fingerprint(self.place)
        if strategy == "copy":
            shutil.copytree(made / "old.staged-2.0.0", self.staged, symlinks=True)

    def installer(self, path: str = "") -> Installer:
        return Installer(InstallerOptions(wheels=str(self.wheels)), path or str(self.place))

    def switch(self) -> list[bool]:
        return switch([self.entry], POINT, self.installer, Progress())

    def switch_back(self) -> list[bool]:
        return switch_back([self.entry], POINT)

    def version(self) -> str | None:
        return installed_version(self.place, "jupyterhub")

    def assert_new(self) -> None:
        assert self.version() == "2.0.0"
        assert fingerprint(self.before) == self.content
        assert sorted(self.place.parent.iterdir()) == [self.place, self.before]
        assert is_switched(self.entry, POINT) and not is_restored(self.entry, POINT)

    def assert_old(self) -> None:
        assert self.version() == "1.0.0"
        assert fingerprint(self.place) == self.content
        assert not self.before.exists()
        assert is_restored(self.entry, POINT) and not is_switched(self.entry, POINT)


@pytest.fixture(params=["copy", "in_place"])
def scene(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    return Scene(made, tmp_path, request.param)


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Scene:
    return Scene(made, tmp_path)


def test_switch_and_switch_back_and_switch_again(scene: Scene) -> None:
    scene.assert_old()
    assert scene.switch() == [True]
    scene.assert_new()
    assert scene.switch() == [False]
    scene.assert_new()
    assert scene.switch_back() == [True]
    scene.assert_old()
    assert scene.switch_back() == [False]
    scene.assert_old()
    assert scene.switch() == [True]
    assert scene.version() == "2.0.0"


def test_switching_back_before_anything_was_switched(scene: Scene) -> None:
    assert scene.switch_back() == [False]
    scene.assert_old()


@pytest.mark.parametrize("finish", ["switch", "switch_back"])
@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("by_renames", [False, True])
@pytest.mark.parametrize("direction", ["switch", "switch_back"])
def test_interrupted_after_any_step(
    copied: Scene,
    monkeypatch: pytest.MonkeyPatch,
    direction: str,
    by_renames: bool,
    steps: int,
    finish: str,
) -> None:
    """A switch or a switch back stops after its n-th rename; either direction can be completed."""
    if by_renames:
        monkeypatch.setattr(exchanging, "_exchange_at_once", lambda place, other: False)
    if direction == "switch_back":
        copied.switch()
    left = steps

    def counted(change: Any) -> Any:
        def changing(*arguments: Any) -> Any:
            nonlocal left
            if not left:
                raise Interrupted
            left -= 1
            return change(*arguments)

        return changing

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        if not by_renames:
            patch.setattr(exchanging, "_exchange_at_once", counted(exchanging._exchange_at_once))
        with contextlib.suppress(Interrupted):
            getattr(copied, direction)()
    getattr(copied, finish)()
    if finish == "switch":
        copied.assert_new()
    else:
        copied.assert_old()


@pytest.mark.parametrize("finish", ["switch", "switch_back"])
@pytest.mark.parametrize("step", ["_link", "move", "write_marker", "fit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_in_place_interrupted_at_any_step(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, finish: str
) -> None:
    scene = Scene(made, tmp_path, "in_place")
    original = getattr(switching, step)

    def interrupted(*arguments: Any) -> None:
        if when == "after":
            original(*arguments)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(switching, step, interrupted)
        with pytest.raises(Interrupted):
            scene.switch()
    getattr(scene, finish)()
    if finish == "switch":
        scene.assert_new()
    else:
        assert scene.version() == "1.0.0"
        assert fingerprint(scene.place) == scene.content
        remove_leftovers(scene.entry, POINT)
        assert scene.staged.exists() is False


def test_one_that_is_not_staged_stops_all(copied: Scene, made: Path, tmp_path: Path) -> None:
    other = tmp_path / "singleuser"
    shutil.copytree(made / "old", other, symlinks=True)
    entry = planned_environment(other, "2.0.0", role="user")
    with pytest.raises(HubError) as refusal:
        switch([copied.entry, entry], POINT, copied.installer, Progress())
    assert str(refusal.value) == f"{other}.staged-2.0.0 is not staged for {other}. Stage it first."
    copied.assert_old()


def test_a_missing_old_environment_is_reported(copied: Scene) -> None:
    remove_leftovers(copied.entry, POINT)
    stage(copied.entry, copied.installer(), Progress())
    copied.switch()
    shutil.rmtree(copied.before)
    with pytest.raises(HubError) as refusal:
        copied.switch_back()
    assert str(refusal.value) == (
        f"{copied.place} has JupyterHub 2.0.0, and the environment it replaced is gone. "
        f"It would be {copied.before}."
    )
    assert copied.version() == "2.0.0"


def test_two_upgrades_in_a_row_are_distinguished(copied: Scene) -> None:
    copied.switch()
    entry = planned_environment(copied.place, "3.0.0", jupyterhub="2.0.0")
    stage(entry, copied.installer(), Progress())
    assert situation(entry, "second") == Situation("old", Path(entry.staged_path))
    assert switch([entry], "second", copied.installer, Progress()) == [True]
    assert copied.version() == "3.0.0"
    assert switch_back([entry], "second") == [True]
    assert copied.version() == "2.0.0"
    assert copied.switch_back() == [True]
    assert copied.version() == "1.0.0"


def test_leftovers_are_removed_and_nothing_else(copied: Scene) -> None:
    assert remove_leftovers(copied.entry, POINT, check=True)
    assert copied.staged.exists()
    assert remove_leftovers(copied.entry, POINT)
    assert sorted(copied.place.parent.iterdir()) == [copied.place]
    assert not remove_leftovers(copied.entry, POINT)
    copied.assert_old()


def test_an_old_environment_is_no_leftover(copied: Scene) -> None:
    exchanging.exchange(copied.place, copied.staged)
    with pytest.raises(HubError) as refusal:
        remove_leftovers(copied.entry, POINT)
    assert str(refusal.value) == (
        f"{copied.staged} holds the old environment: a switch was interrupted. "
        "Finish or restore the switch first."
    )
    assert fingerprint(copied.staged) == copied.content
