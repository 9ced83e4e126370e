"""Which release a word means, by what an installer finds for real environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.newest import release_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy

from tests.healthy_hub import deployment
from tests.hubs.small_wheels import fingerprint, make_hub_wheel, make_venv


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0.0", "1.0.5", "1.1.0b1", "2.0.0"):
        make_hub_wheel(folder, version)
    make_hub_wheel(folder, "3.0.0", requires_python=">=3.99")
    return folder


@pytest.fixture(scope="module")
def venv(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_venv(tmp_path_factory.mktemp("venv") / "hub", wheels, "jupyterhub==1.0.0", pip=True)


def meant(
    word: str, venv: Path, wheels: Path, tool: str = "uv", current: str = "1.0.0", python: str = ""
) -> str:
    hub = deployment(
        hub_environment__path=str(venv),
        hub_environment__python=f"{venv}/bin/python",
        hub_environment__jupyterhub=current,
        user_environments=[],
    )
    return release_of(word, hub, Policy(python=python), InstallerOptions(installer=tool, wheels=str(wheels)))


@pytest.mark.parametrize("tool", ["uv", "pip"])
@pytest.mark.parametrize(("word", "release"), [("patch", "1.0.5"), ("latest", "2.0.0"), ("1.0.0", "1.0.0")])
def test_a_word_means_the_newest_release_that_runs_here(
    word: str, release: str, tool: str, venv: Path, wheels: Path
) -> None:
    before = fingerprint(venv)
    assert meant(word, venv, wheels, tool) == release
    assert fingerprint(venv) == before


def test_a_hub_that_has_the_newest_already_stays(venv: Path, tmp_path: Path) -> None:
    make_hub_wheel(tmp_path, "1.0.0")
    assert meant("latest", venv, tmp_path) == "1.0.0"


@pytest.mark.parametrize(
    ("word", "python", "refusal"),
    [
        ("newest", "", '"newest" is not a version number. Write it like "6.1.1", in quotes'),
        ("latest", "/usr/bin/python3", "cannot be told for another interpreter, /usr/bin/python3."),
    ],
)
def test_what_means_no_release_is_refused(
    word: str, python: str, refusal: str, venv: Path, wheels: Path
) -> None:
    with pytest.raises(HubError) as refused:
        meant(word, venv, wheels, python=python)
    assert refusal in str(refused.value)
