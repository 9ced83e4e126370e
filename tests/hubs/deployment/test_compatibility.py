from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.compatibility import (
    failures,
    judge_revision,
    match,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import parse_release

from tests.healthy_hub import described
from tests.hubs.module import run_module
from tests.hubs.real_hub import link_environment

HUB = parse_release("5.4.6")


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    versions = {"a": "5.4.6", "b": "5.2.1", "c": "4.1.6", "d": "6.1.1", "e": "", "f": "odd"}
    for name, version in versions.items():
        site_packages = tmp_path / name / "lib" / "python3.11" / "site-packages"
        site_packages.mkdir(parents=True)
        (tmp_path / name / "bin").mkdir()
        (tmp_path / name / "bin" / "python").symlink_to("/bin/true")
        (tmp_path / name / "pyvenv.cfg").write_text("version = 3.11.2\n")
        if version:
            information = site_packages / f"jupyterhub-{version}.dist-info"
            information.mkdir()
            (information / "METADATA").write_text(f"Name: jupyterhub\nVersion: {version}\n")
    return tmp_path


def test_every_environment_gets_its_verdict(environments: Path) -> None:
    result = match(HUB, [f"{environments}/{name}" for name in "abcdefg"], "4621fec11365")
    assert [(found["version"], found["verdict"], found["reason"]) for found in result["environments"]] == [
        ("5.4.6", "ok", "It has the hub's version 5.4.6."),
        ("5.2.1", "warn", "It has JupyterHub 5.2.1, the hub has 5.4.6: the same major, another release."),
        ("4.1.6", "fail", "It has JupyterHub 4.1.6, the hub has 5.4.6: another major."),
        ("6.1.1", "fail", "It has JupyterHub 6.1.1, the hub has 5.4.6: newer than the hub is unsupported."),
        (None, "fail", "It has no JupyterHub, so no single-user server can start from it."),
        ("odd", "fail", '"odd" is not a version number. Write it like "6.1.1", in quotes.'),
        (
            None,
            "fail",
            f"There is no Python environment at {environments}/g. Name the folder that has its bin/python.",
        ),
    ]
    assert len(failures(result)) == 5


@pytest.mark.parametrize(
    ("hub", "revision", "verdict", "reason"),
    [
        ("5.4.6", "4621fec11365", "ok", "It is what JupyterHub 5.4.6 needs."),
        ("5.4.6", "0eee8c825d24", "fail", "It is of JupyterHub 4 and needs a migration before 5.4.6"),
        ("5.4.6", "3c2384c5aae1", "fail", "It is of JupyterHub 5 and needs a migration before 5.4.6"),
        ("4.1.6", "f460b0348206", "fail", "It is of JupyterHub 6, newer than the hub 4.1.6, which"),
        ("5.4.6", "000000000000", "fail", "Revision 000000000000 is unknown; JupyterHub 5.4.6 needs 46"),
        ("9.0.0", "f460b0348206", "warn", "Which revision JupyterHub 9.0.0 needs is not known here."),
    ],
)
def test_the_database(hub: str, revision: str, verdict: str, reason: str) -> None:
    judged = judge_revision(parse_release(hub), revision)
    assert judged["verdict"] == verdict
    assert judged["reason"].startswith(reason)


def test_the_module_fails_with_every_reason(environments: Path) -> None:
    result = version_match(hub_version="5.4.6", environments=[f"{environments}/[abc]"])
    assert result["failed"]
    assert result["msg"] == f"{environments}/c: It has JupyterHub 4.1.6, the hub has 5.4.6: another major."
    assert [found["verdict"] for found in result["environments"]] == ["ok", "warn", "fail"]


def test_the_module_can_be_set_to_warn_only(environments: Path) -> None:
    allowed = version_match(hub_version="5.4.6", environments=[f"{environments}/c"], allow=["other_major"])
    assert not allowed.get("failed")
    result = version_match(hub_version="5.4.6", environments=[f"{environments}/c"], fail=False)
    assert [found["verdict"] for found in result["environments"]] == ["fail"]
    assert not result.get("failed") and not result["changed"]


def test_the_module_takes_what_a_deployment_knows(environments: Path) -> None:
    deployment = described(
        hub_environment__jupyterhub="5.4.6",
        user_environments__path=f"{environments}/a",
        database__revision="4621fec11365",
    )
    result = version_match(deployment=deployment)
    assert [found["verdict"] for found in result["environments"]] == ["ok"]
    assert result["database"]["verdict"] == "ok"


def test_requirements_of_a_hub_newer_than_this_collection_are_read_from_the_hub(tmp_path: Path) -> None:
    hub = link_environment("6.1.1", tmp_path / "hub")
    [revisions] = hub.glob("lib/python3.*/site-packages/jupyterhub/alembic/versions")
    step = "revision = '0123456789ab'\ndown_revision = 'f460b0348206'\n"
    (revisions / "0123456789ab_new.py").write_text(step)
    deployment = described(
        hub_environment__path=str(hub),
        hub_environment__jupyterhub="6.1.1",
        database__revision="0123456789ab",
        user_environments=[],
    )
    assert version_match(deployment=deployment)["database"]["verdict"] == "ok"
    older = version_match(deployment=deployment, revision="f460b0348206")
    assert older["msg"].startswith("The database: It is of JupyterHub 6 and needs a migration")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hub_version": "five"}, '"five" is not a version number. Write it like "6.1.1", in quotes.'),
        ({}, "one of the following is required: deployment, hub_version"),
        ({"deployment": {}}, "The hub's version is not known. Give one of deployment and hub_version."),
        (
            {"hub_version": "5.4.6", "environments": ["/nowhere/*"]},
            "There is no Python environment at /nowhere/*. Correct jupyterhub_environment, or "
            "jupyterhub_user_environments.",
        ),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    result = version_match(**options)
    assert result["failed"]
    assert result["msg"] == message


def version_match(**options: Any) -> dict[str, Any]:
    return run_module("jupyterhub_version_match", options)
