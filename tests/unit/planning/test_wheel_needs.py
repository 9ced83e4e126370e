"""Which wheels are downloaded ahead for a hub, without asking an index."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.wheel_need import WheelNeed
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.wheel_needs import wheel_needs

from tests.healthy_hub import deployment as hub

TARGET = "6.1.1"
OF_2 = "833da8570507"
PACKAGES = {"jupyterhub": "4.1.6", "sqlalchemy": "2.0.30", "psycopg2-binary": "2.9.9"}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A venv of Python 3.11 for hub and servers, by its metadata alone."""
    root = tmp_path / "env"
    for name, version in PACKAGES.items():
        folder = root / f"lib/python3.11/site-packages/{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n")
    (root / "pyvenv.cfg").write_text("version = 3.11.2\n")
    return root


def needs(environment: Path, version: str = TARGET, **changes: Any) -> list[WheelNeed]:
    policy = changes.pop("policy", Policy())
    options = changes.pop("options", InstallerOptions(installer="pip"))
    deployment: Deployment = hub(
        hub_environment__path=str(environment),
        hub_environment__python_version="3.11.2",
        user_environments=[],
        **changes,
    )
    return wheel_needs(deployment, version, policy, options)


def test_a_copy_needs_the_target_and_keeps_what_it_has(environment: Path) -> None:
    (found,) = needs(environment)
    assert (found.path, found.python, found.from_scratch) == (str(environment), "3.11", False)
    assert found.requirements == (f"jupyterhub=={TARGET}",)
    assert found.packages == PACKAGES


def test_a_driver_that_the_new_sqlalchemy_may_want_goes_along(environment: Path) -> None:
    (found,) = needs(environment, database__url="postgresql://hub@/hub")
    assert found.requirements == (f"jupyterhub=={TARGET}", "psycopg[binary]")


def test_another_interpreter_needs_all_packages_for_its_own_version(environment: Path) -> None:
    (found,) = needs(environment, policy=Policy(python=sys.executable, packages=["oauthenticator>=17"]))
    assert found.python == ".".join(map(str, sys.version_info[:2]))
    assert found.from_scratch and found.packages == PACKAGES
    assert found.requirements == (f"jupyterhub=={TARGET}", "oauthenticator>=17")


def test_the_version_that_a_migration_goes_through_is_downloaded_too(environment: Path) -> None:
    _hub, through = needs(environment, database__revision=OF_2, database__servers=1)
    assert through.requirements == ("jupyterhub==4.1.6",)
    assert through.from_scratch and through.packages == {}


def test_uv_goes_along_where_the_host_has_none(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = InstallerOptions(builder_folder=str(tmp_path / "builder"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [need.requirements for need in needs(environment, options=options)][1:] == [("uv",)]
    uv = Path(sys.executable).with_name("uv")
    monkeypatch.setenv("PATH", str(uv.parent))
    assert shutil.which("uv") and len(needs(environment, options=options)) == 1


def test_a_hub_that_has_all_of_it_needs_nothing(environment: Path) -> None:
    assert needs(environment, "4.1.6") == []


def test_constraints_are_handed_on(environment: Path, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("tornado<7\n")
    (found,) = needs(environment, options=InstallerOptions("pip", constraints=str(file)))
    assert found.constraints == ("tornado<7",)


def test_a_word_is_no_version(environment: Path) -> None:
    with pytest.raises(HubError, match="latest"):
        needs(environment, "latest")
