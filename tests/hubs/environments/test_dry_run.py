"""What installers would change in real environments, reported without changing them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import (
    declared_requirements,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.resolution import resolve
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.target import installed_options
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Resolution
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.config_options import read_options
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict

from tests.healthy_hub import deployment
from tests.hubs.real_hub import environment
from tests.hubs.small_wheels import UV, fingerprint, make_hub_wheel, make_venv, make_wheel

VERSIONS = ("1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6", "6.1.1")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    make_hub_wheel(folder, "1.0.0", requires=["tool>=1"])
    make_hub_wheel(folder, "2.0.0", requires=["tool>=2"])
    make_wheel(folder, "tool", "1.0.0")
    make_wheel(folder, "tool", "2.0.0")
    make_wheel(folder, "authenticator", "1.0.0", requires=["jupyterhub<2"])
    make_wheel(folder, "authenticator", "2.0.0", requires=["jupyterhub>=2"])
    return folder


@pytest.fixture(scope="module")
def venv(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("venv") / "hub"
    wanted = ("jupyterhub==1.0.0", "tool==1.0.0", "authenticator==1.0.0")
    return make_venv(path, wheels, *wanted, pip=True)


def hub_of(venv: Path) -> Deployment:
    """A hub in that environment, with nothing else that an installer could ask for."""
    return deployment(
        hub_environment__path=str(venv), hub_environment__python=f"{venv}/bin/python", user_environments=[]
    )


def resolved(venv: Path, wheels: Path, tool: str, version: str = "2.0.0", **policy: Any) -> Resolution:
    options = InstallerOptions(installer=tool, wheels=str(wheels))
    return resolve(hub_of(venv), version, Policy(**policy), options)[str(venv)]


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_package_that_stays_and_does_not_go_with_the_target(venv: Path, wheels: Path, tool: str) -> None:
    before = fingerprint(venv)
    found = resolved(venv, wheels, tool)
    assert found.packages["jupyterhub"] == "2.0.0"
    assert found.packages["tool"] == "2.0.0"
    assert found.conflicts == ["authenticator 1.0.0 requires jupyterhub <2, which would be 2.0.0."]
    assert fingerprint(venv) == before


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_package_that_is_upgraded_along_goes(venv: Path, wheels: Path, tool: str) -> None:
    found = resolved(venv, wheels, tool, packages=["authenticator"])
    assert (found.packages["authenticator"], found.conflicts, found.problem) == ("2.0.0", [], "")


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_requirements_that_nothing_fulfils(venv: Path, wheels: Path, tool: str) -> None:
    found = resolved(venv, wheels, tool, packages=["tool<2"])
    assert found.answered
    assert f"jupyterhub==2.0.0, tool<2 cannot be installed into {venv}" in found.problem


def test_an_index_that_does_not_answer_is_no_fault_of_the_packages(venv: Path) -> None:
    options = InstallerOptions(installer="uv", index_url="http://127.0.0.1:9/simple")
    found = resolve(hub_of(venv), "2.0.0", Policy(), options)[str(venv)]
    assert not found.answered
    assert "The package index could not be reached" in found.problem


def test_an_environment_that_has_everything_needs_no_dry_run(venv: Path, wheels: Path) -> None:
    with pytest.raises(KeyError):
        resolved(venv, wheels, "uv", "1.0.0")


def test_an_environment_that_is_rebuilt_needs_no_dry_run(venv: Path, wheels: Path) -> None:
    with pytest.raises(KeyError):
        resolved(venv, wheels, "uv", python="/usr/bin/python3")


def test_the_installer_is_asked_once_for_environments_that_hold_the_same(
    venv: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(f'#!/bin/sh\necho "$*" >> {asked}\nexec {UV} "$@"\n')
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    wanted = ("jupyterhub==1.0.0", "authenticator==1.0.0", "tool==1.0.0")
    people = [make_venv(tmp_path / name, wheels, *wanted) for name in ("ada", "bob")]
    people.append(make_venv(tmp_path / "cyd", wheels, wanted[0]))
    hub = deployment(
        hub_environment__path=str(venv),
        hub_environment__python=f"{venv}/bin/python",
        user_environments=[to_dict(read_environment(str(path))) for path in people],
    )
    found = resolve(hub, "2.0.0", Policy(), InstallerOptions(installer="uv", wheels=str(wheels)))
    questions = [line.split() for line in asked.read_text().splitlines() if "--dry-run" in line]
    of_two = [line for line in questions if f"{people[0]}/" in line[3] or f"{people[1]}/" in line[3]]
    assert len(of_two) == 1
    assert found[str(people[0])] == found[str(people[1])]
    assert found[str(people[0])].conflicts == [
        "authenticator 1.0.0 requires jupyterhub <2, which would be 2.0.0."
    ]
    assert found[str(people[2])].conflicts == []

    # A problem names its environment.
    broken = resolve(
        hub, "2.0.0", Policy(user_packages=["tool<2"]), InstallerOptions(installer="uv", wheels=str(wheels))
    )
    assert all(f"cannot be installed into {path}" in broken[str(path)].problem for path in people)


def test_requirements_are_read_from_disk(venv: Path) -> None:
    declared = declared_requirements(venv)
    assert declared["authenticator"] == ["jupyterhub<2"]
    assert declared["tool"] == []


def test_options_between_releases_are_those_that_the_changelog_has() -> None:
    options = {version: installed_options(str(environment(version))) for version in VERSIONS}
    gone = {
        f"{name}.{option}"
        for older, newer in zip(VERSIONS, VERSIONS[1:])
        for name, known in options[older].items()
        for option in set(known) - set(options[newer][name])
    }
    assert gone == {"JupyterHub.statsd_host", "JupyterHub.statsd_port", "JupyterHub.statsd_prefix"}
    assert "allow_all" in options["5.4.6"]["PAMAuthenticator"]
    assert "allow_all" not in options["4.1.6"]["Authenticator"]


def test_options_as_they_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "class Base(LoggingConfigurable):\n"
        "    one = Unicode('', config=True)\n"
        "    two = Bool(False).tag(config=True)\n"
        "    three = Any(help='x').tag(allow_config=True).tag(config=True)\n"
        "    four = Any()\n"
        "class Child(Base):\n    five = Any().tag(config=True)\n"
        "class Stranger(somebody.Else):\n    six = Any().tag(config=True)\n"
    )
    base = ["one", "three", "two"]
    assert read_options(tmp_path) == {"Base": base, "Child": sorted([*base, "five"])}
