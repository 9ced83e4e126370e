"""Environments of other users: root never runs their programs, and writes nothing that they could lead away.

Each environment has a program of its owner's that every Python runs, as a ``.pth`` file can: it writes down
who has run it, and with which variables.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import rebuilding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import as_owner, transitions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.asking import (
    passing_installer,
    target_facts,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.conda_records import records
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.interpreter import fault
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.kept import KeptEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.kinds import environment_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import (
    all_packages,
    site_packages,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    INTERMEDIATE,
    REBUILD,
    REPORT,
    IntermediateVersion,
    Planned,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.singleuser_hosts import exchange

from tests import people
from tests.healthy_hub import deployment
from tests.hubs import conda
from tests.hubs.module import run_module
from tests.hubs.small_wheels import UV, fingerprint, make_hub_wheel, make_venv, make_wheel
from tests.plans import planned_environment

POINT = "20261120T211500Z-1.0.0-2.0.0"
SPY = """import os, json; \
file = open(os.path.join({seen!r}, str(os.geteuid())), "a"); \
file.write(json.dumps([os.getgroups(), dict(os.environ)]) + "\\n"); file.close()
"""


class Place:
    """A folder for all with homes, wheels that only root reads, and what the users' programs have seen."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels, self.seen = folder, folder / "wheels", folder / "seen"
        self.seen.mkdir()
        self.seen.chmod(0o1777)
        make_hub_wheel(self.wheels, "1.0.0")
        make_hub_wheel(self.wheels, "2.0.0", requires=["newcomer"])
        make_wheel(self.wheels, "bystander", "1.0", {"bystander.py": "X = 1\n"})
        make_wheel(self.wheels, "newcomer", "1.0", scripts=["newcomer = newcomer:f"])
        self.wheels.chmod(0o700)
        self.options = InstallerOptions(
            wheels=str(self.wheels), builder_folder=str(folder / "state" / "hub" / "builder")
        )

    def environment(self, name: str, around: Path, pip: bool = False) -> Path:
        """An environment of a user's in the folder ``around``."""
        made = make_venv(around / "env", self.wheels, "jupyterhub==1.0.0", "bystander", python=people.PYTHON)
        if pip:
            other = make_venv(self.folder / "with-pip", self.wheels, pip=True)
            for part in site_packages(other)[0].glob("pip*"):
                shutil.copytree(part, site_packages(made)[0] / part.name)
        (site_packages(made)[0] / "spy.pth").write_text(SPY.format(seen=str(self.seen)))
        people.give(made, name)
        return made

    def home(self, name: str) -> Path:
        """A folder that is the user's."""
        home = self.folder / name
        home.mkdir()
        people.give(home, name)
        return home

    def users(self) -> set[int]:
        """Numbers of those as whom a user's program has run."""
        return {int(file.name) for file in self.seen.iterdir()}

    def variables(self) -> list[dict[str, str]]:
        lines = [line for file in self.seen.iterdir() for line in file.read_text().splitlines()]
        return [json.loads(line)[1] for line in lines]

    def apply(self, wanted: str, *entries: Planned, **more: Any) -> dict[str, Any]:
        options = more.pop("options", self.options)
        progress = more.pop("progress", Progress())
        return transitions.apply(wanted, entries, POINT, options, progress, **more)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    people.account("games")
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")
    with people.place_for_all() as folder:
        yield Place(folder)


class Lines(Progress):
    """What happens at a line that an administrator reads."""

    def __init__(self, at: str, action: Any) -> None:
        super().__init__()
        self.at, self.action = at, action

    def __call__(self, line: str) -> None:
        if self.at in line and self.action:
            action, self.action = self.action, None
            action()


def owned_by(root: Path) -> set[tuple[int, int]]:
    found = [root.lstat(), *(each.lstat() for each in root.rglob("*"))]
    return {(each.st_uid, each.st_gid) for each in found}


@pytest.mark.parametrize(("around", "tool"), [("in a home", "uv"), ("in a folder of root's", "pip")])
def test_only_its_owner_runs_what_is_in_it(place: Place, around: str, tool: str) -> None:
    games = people.account("games")
    if around == "in a home":
        folder = place.home("games")
    else:
        folder = place.folder / "opt"
        folder.mkdir()
    env = place.environment("games", folder, pip=tool == "pip")
    before = fingerprint(env)
    options = replace(place.options, installer=tool)
    entry = planned_environment(env, "2.0.0", role="user")

    assert fault(env) == ""
    with passing_installer(read_environment(str(env)), options) as installer:
        planned = installer.planned(str(env), entry.requirements)
    assert planned == {"jupyterhub": "2.0.0", "newcomer": "1.0"}
    assert environment_of("venv", str(env)).obstacles(entry.requirements) == []
    [staged] = place.apply("staged", entry, options=options)["environments"]
    assert staged["changes"] == [
        {"name": "jupyterhub", "from": "1.0.0", "to": "2.0.0"},
        {"name": "newcomer", "from": None, "to": "1.0"},
    ]
    assert owned_by(Path(entry.staged_path)) == {(games.pw_uid, games.pw_gid)}
    assert not place.apply("staged", entry, options=options)["changed"]
    place.apply("switched", entry, options=options)
    assert all_packages(env)["jupyterhub"] == "2.0.0"
    assert fault(env) == ""
    place.apply("restored", entry, options=options)
    assert fingerprint(env) == before
    place.apply("absent", entry, options=options)

    assert [each.name for each in folder.iterdir()] == ["env"]
    assert place.users() == {games.pw_uid}
    assert {each.get("USER") for each in place.variables()} == {"games"}


def test_it_is_built_again_and_upgraded_in_place_by_its_owner(place: Place) -> None:
    env = place.environment("games", place.home("games"))
    rebuilt = planned_environment(env, "2.0.0", role="user", strategy=REBUILD)
    place.apply("staged", replace(rebuilt, python=people.PYTHON))
    place.apply("absent", rebuilt)
    in_place = planned_environment(env, "2.0.0", role="user", strategy="in_place")
    place.apply("staged", in_place)
    place.apply("switched", in_place)
    assert all_packages(env)["jupyterhub"] == "2.0.0"
    place.apply("restored", in_place)
    assert all_packages(env)["jupyterhub"] == "1.0.0"
    on_the_way = IntermediateVersion(
        version="2.0.0",
        path=str(env),
        kind="venv",
        staged_path=f"{env}.intermediate-2.0.0",
        strategy=INTERMEDIATE,
        python=people.PYTHON,
        requirements=("jupyterhub==2.0.0",),
        why="in one step it fails",
        source="the rehearsal on this host",
    )
    place.apply("staged", on_the_way)
    assert all_packages(on_the_way.staged_path) == {"jupyterhub": "2.0.0", "newcomer": "1.0"}
    assert place.users() == {people.account("games").pw_uid}


def test_what_root_has_made_in_a_home_is_its_users(place: Place) -> None:
    home = place.home("games")
    env = place.environment("games", home)
    for each in [env, *env.rglob("*")]:
        os.chown(each, 0, 0, follow_symlinks=False)
    before = fingerprint(env)
    entry = planned_environment(env, "2.0.0", role="user")
    place.apply("staged", entry)
    place.apply("switched", entry)
    games = people.account("games")
    assert owned_by(env) == {(games.pw_uid, games.pw_gid)}
    place.apply("restored", entry)
    assert fingerprint(env) == before
    assert place.users() == {games.pw_uid}


def test_those_that_hold_the_same_are_made_by_nobody(place: Place) -> None:
    envs = {name: place.environment(name, place.home(name)) for name in people.NAMES[:3]}
    owners = {name: people.account(name) for name in envs}
    for env in envs.values():
        (site_packages(env)[0] / "spy.pth").chmod(0o600)
    # Bytecode of one of them that is not what its source says, and that a Python would take.
    source = site_packages(envs["games"])[0] / "bystander.py"
    poisoned = Path(importlib.util.cache_from_source(str(source)))
    poisoned.parent.mkdir(exist_ok=True)
    poisoned.write_bytes(b"poison")
    entries = [planned_environment(env, "2.0.0", role="user") for env in envs.values()]
    read: list[str] = []
    progress = Lines("once for 3", lambda: read.append("once"))
    place.apply("staged", *entries, progress=progress)

    assert read == ["once"]
    for (name, _env), entry in zip(envs.items(), entries):
        new = Path(entry.staged_path)
        assert owned_by(new) == {(owners[name].pw_uid, owners[name].pw_gid)}
        assert all_packages(new)["jupyterhub"] == "2.0.0"
        assert (site_packages(new)[0] / "spy.pth").stat().st_mode & 0o777 == 0o600
        bytecode = {each.name.split(".")[0]: each.read_bytes() for each in new.rglob("*.pyc")}
        assert bytecode.keys() >= {"bystander", "app"} and b"poison" not in bytecode.values()
    numbers = {owner.pw_uid for owner in owners.values()}
    [nobody] = place.users() - numbers
    assert nobody > 60000 and place.users() - {nobody} == numbers


@pytest.mark.parametrize("at", ["Staging ", "Relocating "])
def test_a_link_in_the_place_of_the_copy_leads_nowhere(place: Place, at: str) -> None:
    home = place.home("games")
    env = place.environment("games", home)
    entry = planned_environment(env, "2.0.0", role="user")
    new, victim = Path(entry.staged_path), place.folder / "root's"
    victim.mkdir()
    (victim / "bin").mkdir()
    (victim / "bin" / "python").symlink_to("/usr/bin/python3")
    (victim / "lib").mkdir()
    shutil.copytree(env / "lib", victim / "lib", dirs_exist_ok=True)
    people.give(victim, "games")
    for each in [victim, *victim.rglob("*")]:
        os.chown(each, 0, 0, follow_symlinks=False)
    before = fingerprint(victim)

    def swap() -> None:
        if new.exists():
            new.rename(home / "away")
        new.symlink_to(victim)

    with pytest.raises(HubError):
        place.apply("staged", entry, progress=Lines(at, swap))
    assert fingerprint(victim) == before
    assert 0 not in place.users()


def test_no_password_of_an_index_leaves_root(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    env = place.environment("games", place.home("games"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://root:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("HUBOPS_TEST_SECRET", "secret")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    place.apply("staged", planned_environment(env, "2.0.0", role="user"))
    assert place.variables() and "secret" not in json.dumps(place.variables())
    entry = planned_environment(env, "3.0.0", role="user")
    with pytest.raises(HubError, match="the index has a password, which is not given to other users"):
        place.apply("staged", entry, options=replace(place.options, wheels=""))


def test_one_whose_owner_is_unclear_is_named(place: Place) -> None:
    envs = [place.environment(name, place.home(name)) for name in people.NAMES[:3]]
    for each in [envs[0], *envs[0].rglob("*")]:
        os.chown(each, 54321, -1, follow_symlinks=False)
    os.chown(envs[0].parent, 54321, -1)
    os.chown(envs[1].parent, people.account("irc").pw_uid, -1)
    envs[2].parent.chmod(0o555)
    entries = [planned_environment(env, "2.0.0", role="user") for env in envs]
    done = place.apply("staged", *entries, failures=REPORT)
    unknown, shared, closed = [each["fault"] for each in done["environments"]]
    assert unknown == (
        f"{envs[0]} belongs to the user number 54321, which this host does not know. "
        "Make that user, or give the environment to one (chown -R)."
    )
    assert shared.startswith(f"{envs[1]} is in the hands of several users, irc and news: ")
    assert closed == (
        f"uucp owns {envs[2]}, and may not write {envs[2].parent}, where the new environment has to be. "
        f"Give {envs[2].parent} to uucp, or to root."
    )
    for env, entry in zip(envs, entries):
        [obstacle] = environment_of("venv", str(env)).obstacles(entry.requirements)
        assert obstacle.id == "environment-owner"
    assert place.users() == set()


@pytest.mark.parametrize("around", ["in a home", "in a folder of root's"])
def test_a_recovery_points_environment_is_restored_and_removed(place: Place, around: str) -> None:
    folder = place.home("games") if around == "in a home" else place.folder / "opt"
    folder.mkdir(exist_ok=True)
    env = place.environment("games", folder)
    old = environment_of("venv", str(env))
    entry = planned_environment(env, "2.0.0", role="user")
    kept = KeptEnvironment(
        path=str(env),
        kind="venv",
        aside=old.kept_name(POINT),
        environment_id=old.id(),
        sha256=old.sha256(),
        python_version="3.11",
        jupyterhub="1.0.0",
        packages_file="environments/0.txt",
        packages_sha256="",
        planned=True,
    )
    before = fingerprint(env)
    place.apply("staged", entry)
    place.apply("switched", entry)
    assert all_packages(env)["jupyterhub"] == "2.0.0"
    old.restore(kept, {POINT: kept})
    assert fingerprint(env) == before
    place.apply("absent", entry)
    place.apply("staged", entry)
    place.apply("switched", entry)
    assert Path(kept.aside).exists()
    old.remove_unneeded(kept, [])
    assert [each.name for each in folder.iterdir()] == ["env"]
    assert all_packages(env)["jupyterhub"] == "2.0.0"
    assert place.users() == {people.account("games").pw_uid}


def test_the_module_has_its_owner_do_it(place: Place) -> None:
    """As Ansible runs it: packed, in a folder that only root comes into."""
    env = place.environment("games", place.home("games"))
    options = {
        "deployment": to_dict(deployment(name="hub")),
        "environments": [to_dict(planned_environment(env, "2.0.0", role="user"))],
        "recovery_point_id": POINT,
        "wheels": str(place.wheels),
        "state_folder": str(place.folder / "state"),
    }
    done = run_module("jupyterhub_environment", {**options, "state": "staged"})
    assert not done["failed"], done
    assert done["environments"][0]["packages_after"]["jupyterhub"] == "2.0.0"
    assert place.users() == {people.account("games").pw_uid}


def test_conda_changes_one_as_its_owner(place: Place) -> None:
    games, old, new = people.account("games"), "4.1.6", "6.1.1"
    channel = conda.channel(old, new)
    parts = [f"jupyterhub-base={old}", f"jupyterhub-singleuser={old}"]
    env = conda.create(place.home("games") / "env", channel, "pip", *parts, python=people.PYTHON)
    (site_packages(env)[0] / "spy.pth").write_text(SPY.format(seen=str(place.seen)))
    people.give(env, "games")
    # Without jupyter-server, which the channel does not have.
    entry = planned_environment(env, new, role="both", kind="conda", jupyterhub=old)
    options = replace(place.options, wheels="")
    before = fingerprint(env)

    assert environment_of("conda", str(env)).obstacles(entry.requirements) == []
    assert target_facts(new, read_environment(env), options)["version"] == new
    [staged] = place.apply("staged", entry, options=options)["environments"]
    assert (staged["packages_before"]["jupyterhub"], staged["packages_after"]["jupyterhub"]) == (old, new)
    assert fingerprint(env) == before
    assert owned_by(Path(entry.staged_path)) == {(games.pw_uid, games.pw_gid)}
    place.apply("switched", entry, options=options)
    assert records(env)["jupyterhub-singleuser"].version == new
    place.apply("restored", entry, options=options)
    place.apply("absent", entry, options=options)
    assert (fingerprint(env), [each.name for each in env.parent.iterdir()]) == (before, ["env"])
    assert place.users() == {games.pw_uid}


@pytest.mark.parametrize("around", ["in a home", "in a folder of root's"])
def test_one_that_cannot_run_is_built_again_by_its_owner(place: Place, around: str) -> None:
    folder = place.home("games") if around == "in a home" else place.folder / "opt"
    folder.mkdir(exist_ok=True)
    env = place.environment("games", folder)
    arguments = ("user", "its interpreter is gone", people.PYTHON, place.options, Progress(), False)
    done = rebuilding._rebuild(str(env), *arguments)
    games = people.account("games")
    assert all_packages(env)["jupyterhub"] == "1.0.0"
    assert owned_by(env) == owned_by(Path(done.aside)) == {(games.pw_uid, games.pw_gid)}
    as_owner.do(done.aside, exchange._remove, done.aside)
    assert [each.name for each in folder.iterdir()] == ["env"]
    assert place.users() == {games.pw_uid}
