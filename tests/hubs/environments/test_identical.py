"""Environments of many users that hold the same are staged once; each gets what it would have got alone."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import identical, transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.identical import contents_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.kinds import environment_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import site_packages
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    REPORT,
    PlannedEnvironment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress

from tests import people as people_of
from tests.hubs.small_wheels import UV, fingerprint, make_hub_wheel, make_venv, make_wheel
from tests.plans import planned_environment

USERS = ("ada", "bob", "cyd", "dan")
#: As root, users of this machine; any other user can only keep their own files.
OWNERS = {
    name: people_of.account(people_of.NAMES[number]).pw_uid if os.geteuid() == 0 else os.geteuid()
    for number, name in enumerate(USERS)
}


@pytest.fixture(autouse=True)
def uv_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(UV).parent), prepend=os.pathsep)


@pytest.fixture
def place() -> Iterator[Path]:
    with people_of.place_for_all() as folder:
        yield folder


@pytest.fixture
def wheels(place: Path) -> Path:
    folder = place / "wheels"
    make_hub_wheel(folder, "1.0.0")
    make_hub_wheel(folder, "2.0.0", requires=["newcomer"])
    make_hub_wheel(folder, "3.0.0", files={"jupyterhub/singleuser.py": "raise RuntimeError('no server')\n"})
    make_wheel(folder, "newcomer", "1.0", scripts=["newcomer = newcomer:f"])
    make_wheel(folder, "bystander", "1.0", scripts=["bystander = bystander:f"])
    return folder


@pytest.fixture
def people(place: Path, wheels: Path) -> dict[str, Path]:
    """Environments of users who each own theirs; dan has changed a file of a package."""
    found = {name: place / name / "venv" for name in USERS}
    for name, path in found.items():
        path.parent.mkdir()
        os.chown(path.parent, OWNERS[name], -1)
        make_venv(path, wheels, "jupyterhub==1.0.0", "bystander==1.0", python=people_of.PYTHON)
        (path / "pyvenv.cfg").write_text((path / "pyvenv.cfg").read_text() + f"prompt = {name}\n")
    [packages] = site_packages(found["dan"])
    (packages / "bystander/__init__.py").write_text("CHANGED = True\n")
    for name, path in found.items():
        for each in [path, *path.rglob("*")]:
            os.chown(each, OWNERS[name], -1, follow_symlinks=False)
    return found


class Lines(Progress):
    """What an administrator would have read, and what happens at one of these lines."""

    def __init__(self, at: str = "", action: Any = None) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.at, self.action = at, action

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self.at and self.at in line:
            self.action()


def entries(people: dict[str, Path], version: str = "2.0.0") -> list[PlannedEnvironment]:
    return [planned_environment(path, version, role="user") for path in people.values()]


def stage_all(
    people: dict[str, Path], wheels: Path, progress: Lines, version: str = "2.0.0", failures: str = "fail"
) -> dict[str, Any]:
    options = InstallerOptions(wheels=str(wheels), builder_folder=str(wheels.parent / "state/hub/builder"))
    return transitions.apply("staged", entries(people, version), "", options, progress, failures=failures)


def test_each_gets_what_it_would_have_got_alone(people: dict[str, Path], wheels: Path) -> None:
    before = {name: fingerprint(path) for name, path in people.items()}
    progress = Lines()
    done = stage_all(people, wheels, progress)

    assert progress.lines[0] == "Staging jupyterhub==2.0.0 once for 3 environments"
    alone = [line for line in progress.lines if line.startswith("Staging jupyterhub==2.0.0 for ")]
    assert alone == [f"Staging jupyterhub==2.0.0 for {people['dan']}"]
    assert [each["packages_after"]["jupyterhub"] for each in done["environments"]] == ["2.0.0"] * 4
    for (name, path), entry in zip(people.items(), entries(people)):
        new, other = Path(entry.staged_path), path.with_name("alone")
        environment = environment_of("venv", str(path))
        installer = environment.make_installer(InstallerOptions(wheels=str(wheels)), str(path))
        assert environment.is_staged(entry, installer)
        environment.stage(replace(entry, staged_path=str(other)), installer, Progress())
        assert contents_of(new, str(path)) == contents_of(other, str(path)) != ""
        for own in ("pyvenv.cfg", "bin/activate", "bin/newcomer", "bin/bystander"):
            assert (new / own).read_text() == (other / own).read_text()
        assert f"prompt = {name}" in (new / "pyvenv.cfg").read_text()
        assert {each.lstat().st_uid for each in [new, *new.rglob("*")]} == {OWNERS[name]}
        assert fingerprint(path) == before[name]
        path.rename(path.with_name("gone"))
        new.rename(path)
        assert subprocess.run([path / "bin/jupyterhub"]).returncode == 0
    assert not list(wheels.parent.glob("state/hub/*"))


def test_those_of_this_account_share_what_nobody_writes(place: Path, wheels: Path) -> None:
    ours = {name: place / name for name in USERS[:3]}
    for path in ours.values():
        make_venv(path, wheels, "jupyterhub==1.0.0", "bystander==1.0", python=people_of.PYTHON)
        [packages] = site_packages(path)
        (path / "etc").mkdir()
        (path / "etc/settings.json").write_text("{}")
        (packages / "site.pth").write_text("/srv/lib\n")
        (packages / "bystander/state.txt").write_text("1")
        (packages / "bystander/state.txt").chmod(0o664)
    (ours["bob"] / "etc/settings.json").touch()
    done = stage_all(ours, wheels, Lines())
    assert [each["fault"] for each in done["environments"]] == ["", "", ""]
    new = {name: Path(f"{path}.staged-2.0.0") for name, path in ours.items()}
    lib = site_packages(new["ada"])[0].relative_to(new["ada"])

    def shared(file: Path) -> bool:
        return len({(path / file).stat().st_ino for path in new.values()}) == 1

    assert shared(lib / "jupyterhub/app.py") and shared(lib / "bystander/__init__.py")
    compiled = Path(importlib.util.cache_from_source(str(new["ada"] / lib / "newcomer/__init__.py")))
    assert shared(compiled.relative_to(new["ada"]))
    written = [lib / "site.pth", lib / "bystander/state.txt"]
    written += map(Path, ("etc/settings.json", "bin/newcomer", "pyvenv.cfg"))
    assert [file for file in written if shared(file)] == []
    # What is installed into one is in none of the others.
    subprocess.run(
        [UV, "pip", "install", "-q", "--no-index", f"--find-links={wheels}", "--reinstall", "newcomer"]
        + ["--python", new["bob"] / "bin/python"],
        check=True,
    )
    assert not shared(lib / "newcomer/__init__.py")
    for path in new.values():
        assert subprocess.run([path / "bin/python", "-c", "import jupyterhub, newcomer"]).returncode == 0


def test_one_that_changes_meanwhile_is_staged_alone(people: dict[str, Path], wheels: Path) -> None:
    def change() -> None:
        (site_packages(people["bob"])[0] / "bystander/__init__.py").write_text("CHANGED = True\n")

    progress = Lines("once for 3", change)
    stage_all(people, wheels, progress)
    alone = {line for line in progress.lines if line.startswith("Staging jupyterhub==2.0.0 for ")}
    assert alone == {f"Staging jupyterhub==2.0.0 for {people[name]}" for name in ("bob", "dan")}
    [packages] = site_packages(Path(f"{people['bob']}.staged-2.0.0"))
    assert (packages / "bystander/__init__.py").read_text() == "CHANGED = True\n"


def test_what_cannot_be_staged_once_is_named_for_each(people: dict[str, Path], wheels: Path) -> None:
    done = stage_all(people, wheels, Lines(), "3.0.0", REPORT)
    assert [each["path"] in each["fault"] for each in done["environments"]] == [True] * 4
    assert all("RuntimeError: no server" in each["fault"] for each in done["environments"])
    assert list(wheels.parent.glob("*/venv.staged-*")) == []


def test_no_link_of_an_owner_is_followed(people: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (people["ada"] / "bin/activate").unlink()
    (people["ada"] / "bin/activate").symlink_to(tmp_path / "secret")
    (people["ada"] / "etc").symlink_to(tmp_path)
    for place in ("bin/activate", "etc/secret"):
        with pytest.raises(HubError, match="cannot be read"):
            identical._read_inside(people["ada"], place)
    assert identical._read_inside(people["bob"], "pyvenv.cfg").endswith(b"prompt = bob\n")
