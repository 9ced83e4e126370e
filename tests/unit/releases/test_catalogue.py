"""The catalogue of releases; a future release needs one row in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.health import ahead_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.schema import given_up
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.compatibility import judge_revision
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import (
    fallback_path,
    make_plan,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.target import find_target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases import catalogue
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.catalogue import (
    FailingMigration,
    Fault,
    IncompatiblePackage,
    Revision,
    Series,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import parse_release

from tests.healthy_hub import HUB, USERS, deployment, host, upgraded

OF_2, OF_6, OF_7 = "833da8570507", "f460b0348206", "7777abcd7777"
SEVEN = Series(
    since="7.0",
    requires_python=">=3.12",
    sqlalchemy="<3",
    revisions=(Revision(OF_7, adds=("users", "star_sign"), gives_up=("groups",)),),
    failing_migrations=(FailingMigration(OF_6, "6.1.1", "the stars are wrong", "https://example.org/1"),),
    changes="Python 3.12 or later; users have a star sign.",
    guide="https://example.org/upgrading-v7.html",
    faults=(Fault("7.0.0", "7.0.1", "it mixes up Aries and Taurus", "7.0.2", "https://example.org/2"),),
    incompatible_packages=(
        IncompatiblePackage(
            "starspawner", "<2", "does not know the stars", "starspawner>=2", "https://example.org/3"
        ),
    ),
)


@pytest.fixture
def with_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "SERIES", (*catalogue.SERIES, SEVEN))


@pytest.fixture
def hub_of_seven(tmp_path: Path) -> Path:
    """The folder of an environment with JupyterHub 7.0.0, as far as it is read."""
    hub = tmp_path / "hub"
    versions = hub / "lib" / "python3.12" / "site-packages" / "jupyterhub" / "alembic" / "versions"
    versions.mkdir(parents=True)
    before: str | None = None
    for each in (*catalogue.revisions(), *SEVEN.revisions):
        if each.id != before:
            text = f"revision: str = {each.id!r}\ndown_revision: Union[str, None] = {before!r}\n"
            (versions / f"{each.id}_.py").write_text(text)
        before = each.id
    return hub


@pytest.fixture
def seven(with_seven: None, hub_of_seven: Path) -> Target:
    """JupyterHub 7.0.0 as a target."""
    hub = upgraded()
    environment = replace(hub.hub_environment, path=str(hub_of_seven), jupyterhub="7.0.0")
    there = replace(hub, hub_environment=environment)
    return find_target(there, "7.0.0", InstallerOptions())


def findings_of(plan: Plan) -> dict[str, str]:
    return {finding.id: finding.found for finding in plan.findings}


def test_one_row_is_all_that_the_plan_of_an_upgrade_to_a_new_major_needs(seven: Target) -> None:
    assert (seven.schema_head, seven.requires_python) == (OF_7, ">=3.12")
    hub = upgraded()
    hub = replace(hub, database=replace(hub.database, servers=1))
    installed = {"jupyterhub": "6.1.1", "sqlalchemy": "3.0.1", "starspawner": "1.9"}
    plan = make_plan(hub, seven, host(installed={HUB: installed}), Policy())
    assert plan.migrate is True
    [through] = plan.intermediate_versions
    assert (through.requirements, through.why) == (("jupyterhub==6.1.1",), "the stars are wrong")
    [changes] = [finding for finding in plan.findings if finding.id == "changes-7"]
    assert changes.found == "From JupyterHub 6.1.1 to 7.0.0 crosses 7.0."
    assert changes.why == "Python 3.12 or later; users have a star sign."
    assert changes.fix.startswith("Read https://example.org/upgrading-v7.html and ")
    found = findings_of(plan)
    assert found["python-too-old"] == f"JupyterHub 7.0.0 needs Python >=3.12, {USERS} has 3.11.2."
    assert found["known-bad-target"] == (
        "JupyterHub 7.0.0 is known to be bad: it mixes up Aries and Taurus (https://example.org/2)."
    )
    assert found["package-too-old"] == (
        f"starspawner 1.9 in {HUB} does not know the stars (https://example.org/3)."
    )
    assert found["sqlalchemy-too-new"] == (
        "JupyterHub 7.0.0 would get SQLAlchemy 3.0.1, which it does not start with."
    )


def test_one_row_is_all_that_a_fallback_path_to_a_new_major_needs(seven: Target) -> None:
    hub = deployment(hub_environment__jupyterhub="5.4.6")
    plan = make_plan(hub, seven, host(), Policy())
    path = fallback_path(plan, hub, "It failed.")
    assert path and [each.requirements for each in path.intermediate_versions] == [("jupyterhub==6.1.1",)]


def test_one_row_is_all_that_judging_the_database_of_a_new_major_needs(
    with_seven: None, hub_of_seven: Path
) -> None:
    of_6, of_7 = parse_release("6.1.1"), parse_release("7.0.0")
    assert judge_revision(of_7, OF_7)["verdict"] == "ok"
    assert judge_revision(of_7, OF_6)["reason"] == (
        "It is of JupyterHub 6 and needs a migration before 7.0.0 starts on it."
    )
    assert judge_revision(of_6, OF_7)["reason"] == (
        "It is of JupyterHub 7, newer than the hub 6.1.1, which does not start on it."
    )
    assert ahead_of(OF_6, {"users": ["id", "star_sign"]}) == ["users.star_sign"]
    assert given_up(hub_of_seven, OF_6) == {"alembic_version", "groups"}
    assert given_up(hub_of_seven, OF_7) == {"alembic_version"}


@pytest.mark.parametrize(
    ("version", "since"),
    [
        ("0.8.1", "0.8"),
        ("1.2.2", "1.0"),
        ("1.3.0", "1.3"),
        ("2.0.0", "2.0"),
        ("3.1", "3.0"),
        ("3.1.0", "3.0"),
        ("3.1.1", "3.1.1"),
        ("5", "5.0"),
        ("5.0.0b1", "5.0"),
        ("5.5.4", "5.0"),
        ("6.99.0", "6.0"),
        ("0.7.2", None),
        ("7.0.0", None),
    ],
)
def test_the_row_of_a_release(version: str, since: str | None) -> None:
    series = catalogue.series_of(parse_release(version))
    assert (series and series.since) == since


def test_the_rows_are_in_order_and_name_releases_of_their_own() -> None:
    since = [parse_release(series.since) for series in catalogue.SERIES]
    assert since == sorted(set(since))
    for series in catalogue.SERIES:
        if series.intermediate_version:
            assert parse_release(series.intermediate_version).major == series.major
        for failing in series.failing_migrations:
            assert parse_release(failing.through) < parse_release(series.since)


def test_a_major_that_is_not_known_yet_has_no_row() -> None:
    assert catalogue.schema_head(parse_release("9.0.0")) is None
    assert catalogue.major_of_revision("000000000000") is None


@pytest.mark.parametrize("version", ["4.1.0", "4.1.3", "5.0.0", "5.2.0", "5.4.0", "5.4.2"])
def test_bad_targets_are_known_with_a_better_one(version: str) -> None:
    fault = catalogue.fault_of(parse_release(version))
    assert fault is not None
    assert fault.problem.startswith(("it ", "its "))
    assert catalogue.fault_of(parse_release(fault.better)) is None


@pytest.mark.parametrize("version", ["4.0.2", "4.1.4", "5.2.1", "5.4.3", "6.1.1"])
def test_nothing_is_reported_for_other_targets(version: str) -> None:
    assert catalogue.fault_of(parse_release(version)) is None


@pytest.mark.parametrize(
    ("version", "name", "bad"),
    [
        ("2.3.1", "batchspawner", False),
        ("3.0.0", "batchspawner", True),
        ("7.0.0", "batchspawner", True),
        ("3.1.1", "jupyterhub-ltiauthenticator", False),
        ("4.0.0", "jupyterhub-ltiauthenticator", True),
        ("3.1.1", "jupyterhub-samlauthenticator", False),
        ("6.1.1", "jupyterhub-samlauthenticator", True),
        ("3.1.1", "jupyterhub-ldapauthenticator", False),
        ("4.1.6", "jupyterhub-ldapauthenticator", True),
        ("4.1.6", "oauthenticator", False),
        ("5.0.0", "oauthenticator", True),
    ],
)
def test_packages_that_do_not_go_with_a_release(version: str, name: str, bad: bool) -> None:
    names = {package.name for package in catalogue.incompatible_packages(parse_release(version))}
    assert (name in names) is bad


def test_a_package_that_goes_with_a_newer_hub_is_bad_for_the_older_ones_alone() -> None:
    versions = {
        release: [
            package.versions
            for package in catalogue.incompatible_packages(parse_release(release))
            if package.name == "jupyterhub-ldapauthenticator"
        ]
        for release in ("4.1.6", "5.0.0b1")
    }
    assert versions == {"4.1.6": [">=2.0.0,<=2.0.2"], "5.0.0b1": ["<2"]}


def test_a_database_of_an_early_hub_is_judged_by_the_whole_history() -> None:
    assert judge_revision(parse_release("1.5.1"), "896818069c98")["reason"] == (
        "It is of JupyterHub 0 and needs a migration before 1.5.1 starts on it."
    )
    assert ahead_of("896818069c98", {"groups": ["properties"]}) == ["groups.properties"]
    assert ahead_of(OF_2, {"users": ["id"]}) == []
    assert ahead_of("000000000000", {"groups": ["properties"]}) == []
