"""The driver of the hub's database: real installers add it where it would be missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import all_packages
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import intermediate_versions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.resolution import resolve
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress

from tests.healthy_hub import at, host
from tests.hubs.small_wheels import make_hub_wheel, make_venv, make_wheel

POSTGRESQL = "postgresql://hub:***@db/hub"
ASKS_FOR_2_1 = ("sqlalchemy>=2.1",)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    for version, requires in (("1.0.0", ()), ("2.0.0", ASKS_FOR_2_1), ("4.1.6", ())):
        make_hub_wheel(folder, version, requires=["sqlalchemy", *requires])
    for version in ("2.0.58", "2.1.9"):
        make_wheel(folder, "sqlalchemy", version)
    for name in ("psycopg2-binary", "PyMySQL"):
        make_wheel(folder, name, "1.0", {f"{name.partition('-')[0].lower()}.py": ""})
    make_wheel(folder, "psycopg", "3.2", requires=["psycopg-binary; extra == 'binary'"])
    make_wheel(folder, "psycopg-binary", "3.2")
    return folder


def planned(tmp_path: Path, wheels: Path, tool: str, url: str, *, python: str = "") -> Plan:
    """The plan of a hub with SQLAlchemy 2.0 and psycopg2, as it is made before anything is staged."""
    wanted = ("jupyterhub==1.0.0", "sqlalchemy==2.0.58", "psycopg2-binary")
    venv = make_venv(tmp_path / "hub", wheels, *wanted, pip=tool == "pip")
    # Small wheels have no other modules that a hub's config may name.
    parts = {f"{part}__package": None for part in ("proxy", "spawner", "authenticator")}
    server = {"product": "PostgreSQL"} if url.startswith("postgresql") else None
    deployment = at(tmp_path, venv, database__url=url, database__server=server, **parts)
    policy = Policy(python=python)
    resolved = resolve(deployment, "2.0.0", policy, InstallerOptions(installer=tool, wheels=str(wheels)))
    seen = host(resolved=resolved, installed={str(venv): all_packages(venv)})
    return make_plan(deployment, Target("2.0.0"), seen, policy)


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_it_is_added_where_the_new_sqlalchemy_takes_another_one(
    tmp_path: Path, wheels: Path, tool: str
) -> None:
    plan = planned(tmp_path, wheels, tool, POSTGRESQL)
    (environment,) = plan.environments
    assert environment.requirements == ("jupyterhub==2.0.0", "psycopg[binary]")
    (finding,) = [each for each in plan.findings if each.id == "database-driver"]
    assert finding.found == f"psycopg[binary] is added to {environment.path}, for {POSTGRESQL}."
    assert f"Stage jupyterhub==2.0.0, psycopg[binary] in {environment.staged_path}." in plan.steps

    installer = Installer(InstallerOptions(installer=tool, wheels=str(wheels)), environment.path)
    packages = stage(environment, installer, Progress(None)).packages_after
    assert packages["sqlalchemy"] == "2.1.9"
    # The driver of the old hub stays: its config may name it.
    assert {"psycopg", "psycopg-binary", "psycopg2-binary"} <= packages.keys()


@pytest.mark.parametrize("url", ["sqlite:///jupyterhub.sqlite", "postgresql+psycopg2://hub@/hub"])
def test_nothing_is_added_where_the_driver_is_there(tmp_path: Path, wheels: Path, url: str) -> None:
    plan = planned(tmp_path, wheels, "uv", url)
    assert [each.requirements for each in plan.environments] == [("jupyterhub==2.0.0",)]
    assert "database-driver" not in {each.id for each in plan.findings}


def test_a_driver_that_is_not_to_be_had_is_found_by_the_dry_run(tmp_path: Path, wheels: Path) -> None:
    next(wheels.glob("psycopg_binary-*")).unlink()
    plan = planned(tmp_path, wheels, "uv", POSTGRESQL)
    (blocker,) = [each for each in plan.findings if each.id == "packages-not-available"]
    assert "jupyterhub==2.0.0, psycopg[binary] cannot be installed" in blocker.found


def test_a_rebuilt_environment_has_the_driver_of_whichever_sqlalchemy_it_gets(
    tmp_path: Path, wheels: Path
) -> None:
    plan = planned(tmp_path, wheels, "uv", POSTGRESQL, python=str(tmp_path / "hub" / "bin" / "python"))
    (environment,) = plan.environments
    assert environment.requirements == ("jupyterhub==2.0.0", "psycopg[binary]")
    installer = Installer(InstallerOptions(installer="uv", wheels=str(wheels)), environment.path)
    packages = stage(environment, installer, Progress(None)).packages_after
    assert {"psycopg", "psycopg-binary", "psycopg2-binary"} <= packages.keys()


@pytest.mark.parametrize(
    ("url", "driver"), [(POSTGRESQL, "psycopg2-binary"), ("mysql+pymysql://hub@/hub", "pymysql")]
)
def test_an_intermediate_version_has_its_own(tmp_path: Path, wheels: Path, url: str, driver: str) -> None:
    venv = make_venv(tmp_path / "hub", wheels, "jupyterhub==1.0.0")
    deployment = at(tmp_path, venv, database__url=url, database__revision="833da8570507", database__servers=1)
    (intermediate,) = intermediate_versions.needed(deployment, "6.1.1")
    installer = Installer(InstallerOptions(installer="uv", wheels=str(wheels)), str(venv))
    packages = stage(intermediate, installer, Progress(None)).packages_after
    assert packages.keys() == {"jupyterhub", "sqlalchemy", driver}
