"""What a redeployment needs, before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import BLOCKER
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import findings, redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.config import parse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.secrets import redact
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Backup, Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.versions import redeployments

from tests.pythons import pythons

CONFIG = """\
project_name: oldproj
provider: aws
domain: qhub.example.org
qhub_version: 0.3.14
security:
  authentication:
    type: password
  users:
    ada:
      password: planted
terraform_state:
  type: remote
"""


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "qhub-config.yaml").write_text(CONFIG)
    for name in ("home.tar", "hub.sqlite"):
        (tmp_path / name).touch()
    return {
        "folder": str(tmp_path),
        "version": "0.4.5",
        "old_domain": "qhub-old.example.org",
        "project": "newproj",
        "python": pythons()["3.9"],
        "user_data": Backup(str(tmp_path / "home.tar")),
        "hub_database": Backup(str(tmp_path / "hub.sqlite")),
        "state_folder": str(tmp_path / "state"),
    }


def planned(wanted: dict[str, Any], config: str = CONFIG, **changes: Any) -> redeployment.Plan:
    (Path(wanted["folder"]) / "qhub-config.yaml").write_text(config)
    return redeployment.plan(Site(**{**wanted, **changes}))


@pytest.mark.parametrize(
    ("old", "new", "provider", "expected"),
    [
        ("0.3.14", "0.4.5", "gcp", ["0.4"]),
        ("0.3.10", "0.4.0", "aws", ["0.3.11", "0.4"]),
        ("0.3.10", "0.3.14", "gcp", []),
        ("0.4.0", "0.4.5", "aws", []),
    ],
)
def test_versions_that_need_a_redeployment(old: str, new: str, provider: str, expected: list[str]) -> None:
    assert [each.version for each in redeployments(old, new, provider)] == expected


def test_a_plan_without_blockers_changes_nothing(wanted: dict[str, Any], tmp_path: Path) -> None:
    plan = planned(wanted)
    assert [each.id for each in plan.findings if each.severity == BLOCKER] == []
    assert [each.state for each in plan.steps][:2] == ["next", "later"]
    assert plan.users == 1
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("expected", "replaced", "changes"),
    [
        (findings.DOWNGRADE, ("", ""), {"version": "0.3.13"}),
        (findings.DOWNGRADE, ("0.3.14", "0.3.10"), {"version": "0.3.14"}),
        (findings.OLD_DOMAIN, ("", ""), {"old_domain": ""}),
        (findings.OLD_DOMAIN, ("", ""), {"old_domain": "qhub.example.org"}),
        (findings.OLD_DOMAIN, ("", ""), {"old_domain": "https://old"}),
        (findings.PROJECT, ("", ""), {"project": "oldproj"}),
        (findings.PROJECT, ("", ""), {"project": "awsproj"}),
        (findings.PROJECT, ("", ""), {"project": "a-name-that-is-too-long"}),
        (findings.CUSTOM_AUTHENTICATION, ("type: password", "type: custom"), {}),
        (findings.LOCAL_STATE, ("type: remote", "type: local"), {}),
        (findings.PROGRAM, ("", ""), {"python": "/nowhere/python3.9"}),
        (findings.PROGRAM, ("0.3.14", "0.3.13"), {}),
        (findings.BACKUP, ("", ""), {"user_data": None}),
        (findings.BACKUP, ("", ""), {"user_data": Backup("/nowhere")}),
        (findings.CALLBACK, ("type: password", "type: GitHub"), {}),
        (findings.PASSWORDS, ("", ""), {}),
        (findings.ROOT_PASSWORD, ("", ""), {}),
        (findings.REDEPLOYMENT, ("", ""), {}),
        (findings.NO_REDEPLOYMENT, ("0.3.14", "0.4.0"), {}),
        (findings.AZURE_PROJECT, ("terraform", "azure:\n  project: PLACEHOLDER\nterraform"), {}),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_findings(
    wanted: dict[str, Any], expected: Any, replaced: tuple[str, str], changes: dict[str, Any]
) -> None:
    plan = planned(wanted, CONFIG.replace(*replaced) if replaced[0] else CONFIG, **changes)
    assert (expected.id, expected.severity) in [(each.id, each.severity) for each in plan.findings]


def test_where_no_redeployment_is_needed_the_second_site_is_left_out(wanted: dict[str, Any]) -> None:
    plan = planned(wanted, CONFIG.replace("0.3.14", "0.4.0"), old_domain="", project="")
    assert [each.id for each in plan.findings if each.severity == BLOCKER] == []
    assert [each.name for each in plan.steps] == ["back_up", "install", "upgrade_config", "deploy", "commit"]


def test_blockers_stop_the_first_step_and_nothing_is_kept(wanted: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(HubError, match="nothing was changed: .*qhub_old_domain.*qhub_project"):
        redeployment.take(Site(**{**wanted, "old_domain": "", "project": ""}), "back_up")
    assert redeployment.plan(Site(**wanted)).begun is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n", "is not a config of QHub: it has no project_name, provider, domain, security"),
        (CONFIG.replace("qhub_version: 0.3.14\n", ""), "no qhub_version, and its image of JupyterHub"),
    ],
)
def test_a_config_that_is_not_qhubs_is_refused(wanted: dict[str, Any], text: str, message: str) -> None:
    with pytest.raises(HubError, match=message):
        planned(wanted, text)


def test_no_config_and_no_version(wanted: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(HubError, match="No redeployment of .* has begun, and no version is wanted"):
        planned(wanted, version="")
    with pytest.raises(HubError, match="There is no .*/nowhere/qhub-config.yaml"):
        redeployment.plan(Site(**{**wanted, "folder": str(tmp_path / "nowhere")}))


def test_a_record_that_cannot_be_read_is_named(wanted: dict[str, Any], tmp_path: Path) -> None:
    kept = tmp_path / "state/qhub/qhub.example.org"
    kept.mkdir(parents=True)
    (kept / "redeployment.json").write_text('{"format": 1')
    with pytest.raises(HubError, match=r"The record .*redeployment.json cannot be read"):
        planned(wanted)


def test_the_callback_url_is_said(wanted: dict[str, Any]) -> None:
    plan = planned(wanted, CONFIG.replace("type: password", "type: Auth0"))
    expected = "https://qhub.example.org/auth/realms/qhub/broker/auth0/endpoint"
    assert plan.callback_url == expected
    assert f"  callback URL of the new site: {expected}" in redeployment.lines(plan)


def test_secrets_are_taken_out_of_any_text() -> None:
    config = parse("security:\n  client_secret: sesame-open\n  keycloak:\n    initial_root_password: Xy12\n")
    text = "random password=Abc for root\nsesame-open\n  - api_token: zz\npassword: {a\n"
    assert redact(text, config) == (
        "random password=******** for root\n********\n  - api_token: ********\npassword: ********\n"
    )
