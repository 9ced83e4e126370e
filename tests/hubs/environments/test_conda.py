"""Real conda environments, upgraded by a real conda from a channel on the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.asking import target_facts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.conda_records import records
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.facts import Obstacle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.kept import KeptEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.kinds import environment_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    IntermediateVersion,
    Planned,
    PlannedEnvironment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import MARKER
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.newest import release_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.resolution import resolve
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Resolution
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress

from tests.healthy_hub import deployment
from tests.hubs import conda, real_hub
from tests.hubs.small_wheels import fingerprint, make_hub_wheel
from tests.plans import planned_environment

OLD, NEW = "4.1.6", "6.1.1"
PARTS = ("jupyterhub", "jupyterhub-base", "jupyterhub-singleuser")
POINT = f"20261120T211500Z-{OLD}-{NEW}"


class Scene:
    """An environment with all parts of JupyterHub by conda, and its successor beside it."""

    def __init__(self, folder: Path, channel: str) -> None:
        self.place = conda.create(folder / "hub", channel, "pip", *(f"{part}={OLD}" for part in PARTS))
        self.entry = planned(self.place)
        self.before = fingerprint(self.place), cache()
        self.foreseen = resolved(self.place)
        self.result = apply("staged", self.entry)
        self.staged = Path(self.result["staged_path"])


@pytest.fixture(scope="module")
def channel() -> str:
    return conda.channel(OLD, NEW)


@pytest.fixture(scope="module")
def scene(channel: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"), channel)


@pytest.fixture
def place(scene: Scene, tmp_path: Path) -> Path:
    """A copy to be changed; its scripts are those of the original."""
    subprocess.run(["cp", "--archive", scene.place, tmp_path / "hub"], check=True)
    return tmp_path / "hub"


def planned(path: Path, version: str = NEW, **changes: Any) -> PlannedEnvironment:
    return planned_environment(path, version, **{"kind": "conda", "jupyterhub": OLD, **changes})


def apply(wanted: str, entry: Planned, point: str = "", **options: str) -> dict[str, Any]:
    done = transitions.apply(wanted, [entry], point, InstallerOptions(**options), Progress())
    [result] = done["environments"]
    assert isinstance(result, dict)
    return result


def version_of(path: Path) -> str:
    """What the hub's own command says, which has to find its interpreter first."""
    return subprocess.run(
        [path / "bin/jupyterhub", "--version"], capture_output=True, text=True
    ).stdout.strip()


def condas(path: Path) -> dict[str, str]:
    return {name: record.version for name, record in records(path).items()}


def resolved(path: Path, version: str = NEW) -> Resolution:
    """The preflight's dry run for a hub in this environment."""
    facts = {f"hub_environment__{key}": value for key, value in vars(read_environment(path)).items()}
    return resolve(deployment(**facts, user_environments=[]), version, Policy(), InstallerOptions())[
        str(path)
    ]


def obstacles(path: Path) -> list[Obstacle]:
    return environment_of("conda", str(path)).obstacles([f"jupyterhub=={NEW}"])


def cache() -> dict[str, tuple[object, ...]]:
    """The packages that conda has unpacked for everybody, with links to which the old environment is made.

    Not its lists of what there is: it writes them whenever any test has an environment made.
    """
    found = fingerprint(real_hub.CACHE / "conda-packages")
    return {path: facts for path, facts in found.items() if "/" in path and not path.startswith("cache/")}


def test_all_parts_of_the_copy_are_the_target(scene: Scene) -> None:
    assert {part: condas(scene.staged)[part] for part in PARTS} == dict.fromkeys(PARTS, NEW)
    assert scene.result["packages_before"]["jupyterhub"] == OLD
    assert scene.result["packages_after"]["jupyterhub"] == NEW
    assert scene.result["warnings"] == []


def test_the_old_environment_and_the_cache_of_conda_are_only_read(scene: Scene) -> None:
    assert (fingerprint(scene.place), cache()) == scene.before


def test_the_copy_speaks_of_its_final_place_only(scene: Scene) -> None:
    files = [path for path in scene.staged.rglob("*") if path.is_file() and path.name != MARKER]
    assert [path for path in files if os.fsencode(scene.staged) in path.read_bytes()] == []
    assert [path for path in scene.staged.parent.iterdir() if path not in (scene.staged, scene.place)] == []


def test_a_path_in_a_binary_is_as_conda_would_have_written_it(scene: Scene) -> None:
    old, new = ((path / conda.BINARY).read_bytes() for path in (scene.place, scene.staged))
    assert new == old.replace(OLD.encode(), NEW.encode())
    assert os.fsencode(f"{scene.place}/lib\0") in new


def test_the_dry_run_says_what_staging_does(scene: Scene) -> None:
    foreseen, after = scene.foreseen, scene.result["packages_after"]
    assert (foreseen.problem, foreseen.conflicts, foreseen.obstacles) == ("", [], [])
    assert {name: foreseen.packages[name] for name in after} == after


def test_it_is_switched_found_and_restored(scene: Scene, channel: str) -> None:
    place, entry = scene.place, scene.entry
    environment = environment_of("conda", str(place))
    kept = KeptEnvironment(
        path=str(place),
        kind="conda",
        aside=environment.kept_name(POINT),
        environment_id=environment.id(),
        sha256=environment.sha256(),
        python_version=None,
        jupyterhub=OLD,
        packages_file="",
        packages_sha256="",
        planned=True,
    )
    apply("switched", entry, POINT)
    assert version_of(place) == NEW
    found = environment.find(kept)
    assert found
    assert (found.name, found.sha256()) == (kept.aside, kept.sha256)
    apply("restored", entry, POINT)
    assert (version_of(place), environment.sha256()) == (OLD, kept.sha256)
    apply("switched", entry, POINT)
    environment.restore(kept, {POINT: kept})
    assert (version_of(place), environment.sha256()) == (OLD, kept.sha256)


def test_conda_goes_on_with_the_new_environment(scene: Scene, channel: str) -> None:
    apply("switched", scene.entry, POINT)
    conda.run("install", scene.place, channel, *(f"{part}={OLD}" for part in PARTS))
    assert (version_of(scene.place), condas(scene.place)["jupyterhub-base"]) == (OLD, OLD)
    apply("restored", scene.entry, POINT)


def test_facts_of_the_target_come_from_the_channel(scene: Scene) -> None:
    wheel = target_facts(NEW, read_environment(real_hub.environment(OLD)), InstallerOptions())
    assert target_facts(NEW, read_environment(scene.place), InstallerOptions()) == wheel


def test_words_for_a_release(scene: Scene) -> None:
    facts = {f"hub_environment__{key}": value for key, value in vars(read_environment(scene.place)).items()}
    hub = deployment(**facts, user_environments=[])
    assert release_of("latest", hub, Policy(), InstallerOptions()) == NEW
    assert release_of("patch", hub, Policy(), InstallerOptions()) == OLD


def test_an_intermediate_version_comes_from_the_channel(scene: Scene, tmp_path: Path) -> None:
    entry = IntermediateVersion(
        version=NEW,
        path=str(scene.place),
        kind="conda",
        staged_path=str(tmp_path / "intermediate"),
        strategy="intermediate",
        python="",
        requirements=(f"jupyterhub=={NEW}", "sqlalchemy>=1.4"),
        why="",
        source="",
    )
    staged = Path(apply("staged", entry)["staged_path"])
    assert (version_of(staged), condas(staged)["jupyterhub-base"]) == (NEW, NEW)


def test_what_pip_has_installed_is_upgraded_by_pip(channel: str, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    for version in ("1.0.0", "2.0.0"):
        make_hub_wheel(wheels, version, requires=["tornado"])
    place = conda.create(tmp_path / "hub", channel, "python", "pip", "tornado")
    source = ["--quiet", "--no-index", f"--find-links={wheels}"]
    subprocess.run([place / "bin/python", "-m", "pip", "install", *source, "jupyterhub==1.0.0"], check=True)
    by_conda = condas(place)
    entry = planned(place, "2.0.0", jupyterhub="1.0.0")
    result = apply("staged", entry, wheels=str(wheels), installer="pip")
    assert [each["name"] for each in result["changes"]] == ["jupyterhub"]
    assert condas(Path(result["staged_path"])) == by_conda
    apply("switched", entry, POINT)
    assert environment_of("conda", str(place)).facts().jupyterhub == "2.0.0"
    assert "# pip: jupyterhub==2.0.0" in environment_of("conda", str(place)).package_list()
    assert subprocess.run([place / "bin/jupyterhub"]).returncode == 0


def test_conda_makes_the_environment_again_of_its_list(scene: Scene, channel: str, tmp_path: Path) -> None:
    listed = tmp_path / "packages.txt"
    listed.write_text(
        "".join(f"{line}\n" for line in environment_of("conda", str(scene.place)).package_list())
    )
    again = conda.create(tmp_path / "again", channel, "--file", str(listed))
    assert condas(again) == condas(scene.place)


def test_a_version_that_the_channel_does_not_have(scene: Scene) -> None:
    with pytest.raises(HubError, match=r"jupyterhub-base==9\.9\.9: .*missing") as raised:
        target_facts("9.9.9", read_environment(scene.place), InstallerOptions())
    assert raised.value.hint == "Name a version that the channel has."


def test_a_channel_that_does_not_answer_is_no_fault_of_the_packages(place: Path, channel: str) -> None:
    for record in place.glob("conda-meta/*.json"):
        record.write_text(record.read_text().replace(channel, "http://127.0.0.1:9/channel"))
    found = resolved(place)
    assert not found.answered
    assert "The conda channel could not be reached (http://127.0.0.1:9/channel)" in found.problem
    assert "Connection refused" in found.problem


def test_nothing_is_left_where_conda_fails(place: Path) -> None:
    with pytest.raises(HubError, match="conda cannot install jupyterhub==9"):
        apply("staged", planned(place, "9.9.9"))
    assert [each.name for each in place.parent.iterdir()] == [place.name]


@pytest.fixture
def unknown(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment on a host that has no conda (any more)."""
    history = place / "conda-meta/history"
    history.write_text(history.read_text().replace(conda.conda(), "/no/such/conda"))
    for name in ("conda", "activate", "deactivate"):
        (place / "bin" / name).unlink()
    for variable in ("CONDA_EXE", "MAMBA_EXE"):
        monkeypatch.delenv(variable, raising=False)
    return place


def test_a_host_without_conda(unknown: Path) -> None:
    [obstacle] = resolved(unknown).obstacles
    assert obstacle.id == "no-conda"
    assert obstacle.found == f"No conda, mamba or micromamba was found for {unknown}."


@pytest.mark.parametrize("how", ["CONDA_EXE", "PATH", "base"])
def test_where_conda_is_found(unknown: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "PATH":
        monkeypatch.setenv("PATH", os.path.dirname(conda.conda()))
    elif how == "CONDA_EXE":
        monkeypatch.setenv("CONDA_EXE", conda.conda())
    else:
        (unknown.parent / "bin").mkdir()
        (unknown.parent / "bin/conda").symlink_to(conda.conda())
        (unknown.parent / "envs").mkdir()
        unknown = unknown.rename(unknown.parent / "envs/hub")
    assert obstacles(unknown) == []


def test_pins_and_environments_inside(place: Path) -> None:
    (place / "conda-meta/pinned").write_text("jupyterhub-base 4.*\ntornado 6.*\n")
    shutil.copytree(place / "conda-meta", place / "envs/other/conda-meta")
    assert {each.id: each.found for each in obstacles(place)} == {
        "conda-pinned": f"{place}/conda-meta/pinned has jupyterhub-base 4.*.",
        "environments-inside": f"{place} has {place}/envs/other within it.",
    }


def test_a_plan_for_a_hub_in_it(scene: Scene, tmp_path: Path) -> None:
    with real_hub.stopped_hub(OLD, tmp_path, place=scene.place) as hub:
        made = planner.plan(hub, NEW, Policy(), InstallerOptions(), str(tmp_path / "state"))
    assert [finding.id for finding in made.blockers] == ["hub-not-running"]
    assert [(entry.kind, entry.strategy) for entry in made.environments] == [("conda", "copy")]
    assert made.migrate is True
