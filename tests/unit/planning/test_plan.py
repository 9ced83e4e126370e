from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target

from tests.healthy_hub import GIBIBYTE, HUB, TARGET, USERS, deployment, host, upgraded


def findings_of(plan: Plan) -> list[str]:
    """Ids of the findings that are more than notes."""
    return [finding.id for finding in plan.findings if finding.severity != "note"]


def test_a_healthy_hub_is_upgraded_with_its_users_environments_and_its_database() -> None:
    plan = make_plan(deployment(), TARGET, host(), Policy())
    assert findings_of(plan) == []
    assert (plan.action, plan.outage, plan.migrate) == ("upgrade", True, True)
    assert [(entry.path, entry.role, entry.strategy) for entry in plan.environments] == [
        (HUB, "hub", "copy"),
        (USERS, "user", "copy"),
    ]
    assert plan.environments[0].staged_path == "/opt/jupyterhub.staged-6.1.1"


def test_the_new_hub_must_import_what_it_is_configured_with() -> None:
    plan = make_plan(deployment(), TARGET, host(), Policy())
    modules = ("jupyterhub.proxy", "jupyterhub.spawner", "oauthenticator.github")
    assert [entry.imports for entry in plan.environments] == [modules, ()]
    written_by_the_admin = deployment(
        authenticator__package=None, **{"authenticator__class": "__main__.Authenticator"}
    )
    plan = make_plan(written_by_the_admin, TARGET, host(), Policy())
    assert plan.environments[0].imports == ("jupyterhub.proxy", "jupyterhub.spawner")


def test_a_hub_that_has_the_version_everywhere_is_left_alone() -> None:
    plan = make_plan(upgraded(), TARGET, host(), Policy())
    assert (plan.action, plan.outage, plan.environments) == ("nothing", False, ())


def test_a_lagging_users_environment_alone_needs_no_outage() -> None:
    lagging = upgraded()
    lagging.user_environments[0].packages["jupyterhub"] = "5.4.6"
    plan = make_plan(lagging, TARGET, host(), Policy())
    assert (plan.action, plan.outage) == ("upgrade", False)
    assert [entry.path for entry in plan.environments] == [USERS]


BROKEN = replace(host(), python_versions={f"{USERS}/bin/python": ""})


def test_a_users_environment_that_cannot_be_upgraded_forbids_it_or_is_left_out() -> None:
    plan = make_plan(deployment(), TARGET, BROKEN, Policy())
    assert [finding.id for finding in plan.blockers] == ["interpreter-gone"]

    plan = make_plan(deployment(), TARGET, BROKEN, Policy(environment_failures="report"))
    assert (findings_of(plan), plan.blockers) == (["environment-left-out"], [])
    assert [entry.path for entry in plan.environments] == [HUB]
    assert [each.path for each in plan.left_out] == [USERS]
    assert "does not run" in plan.left_out[0].why


def test_the_hubs_own_environment_is_never_left_out() -> None:
    broken = replace(host(), python_versions={f"{HUB}/bin/python": ""})
    plan = make_plan(deployment(), TARGET, broken, Policy(environment_failures="report"))
    assert [finding.id for finding in plan.blockers] == ["interpreter-gone"]


def test_an_upgrade_of_nothing_but_what_cannot_be_upgraded_does_nothing() -> None:
    lagging = upgraded()
    lagging.user_environments[0].packages["jupyterhub"] = "5.4.6"
    plan = make_plan(lagging, TARGET, BROKEN, Policy(environment_failures="report"))
    assert (plan.action, plan.outage, plan.environments) == ("nothing", False, ())
    assert [each.path for each in plan.left_out] == [USERS]


def test_a_database_that_lags_behind_its_hub_is_migrated() -> None:
    hub = upgraded()
    behind = replace(hub, database=replace(hub.database, revision="0eee8c825d24"))
    plan = make_plan(behind, TARGET, host(), Policy())
    assert (plan.action, plan.outage, plan.migrate) == ("upgrade", True, True)


def test_one_environment_for_hub_and_users_is_upgraded_once() -> None:
    shared = deployment(user_environments=[], spawner__command=[f"{HUB}/bin/jupyterhub-singleuser"])
    plan = make_plan(
        shared, TARGET, host(), Policy(packages=["oauthenticator>=17"], user_packages=["jupyterlab>=4"])
    )
    assert [(entry.role, entry.requirements) for entry in plan.environments] == [
        ("both", ("jupyterhub==6.1.1", "oauthenticator>=17", "jupyterlab>=4"))
    ]


@pytest.mark.parametrize(
    ("requirement", "installed", "action"),
    [
        ("oauthenticator>=17", {"oauthenticator": "16.0.0"}, "upgrade"),
        ("oauthenticator>=17", {"oauthenticator": "17.1.0"}, "nothing"),
        ("oauthenticator", {"oauthenticator": "16.0.0"}, "nothing"),
        ("OAuth_enticator[x] >= 17", {"oauth-enticator": "17.1.0"}, "nothing"),
        ("oauthenticator", {}, "upgrade"),
        ("oauthenticator; python_version < '3.8'", {}, "nothing"),
        ("oauthenticator; python_version >= '3.8'", {}, "upgrade"),
        ("oauthenticator>=17; sys_platform == 'linux'", {"oauthenticator": "17.1.0"}, "nothing"),
        ("oauthenticator>=17; sys_platform == 'linux'", {"oauthenticator": "16.0.0"}, "upgrade"),
        ("oauthenticator @ https://example.org/o.whl", {"oauthenticator": "17.1.0"}, "upgrade"),
    ],
)
def test_packages_that_go_along_count_only_when_they_are_missing(
    requirement: str, installed: dict[str, str], action: str
) -> None:
    seen = host(installed={HUB: {"jupyterhub": "6.1.1", **installed}})
    assert make_plan(upgraded(), TARGET, seen, Policy(packages=[requirement])).action == action


def test_all_blockers_are_reported_at_once_and_before_the_warnings() -> None:
    plan = make_plan(
        deployment(service__state="failed", database__exists=False),
        Target("6.1.1", ">=3.12"),
        host(root=False, user="ada"),
        Policy(strategy="in_place"),
    )
    severities = [finding.severity for finding in plan.findings]
    assert severities == sorted(severities, key=["blocker", "warning", "note"].index)
    assert {finding.id for finding in plan.blockers} == {
        "database-missing",
        "hub-not-running",
        "python-too-old",
        "no-permission",
    }


def test_another_interpreter_rebuilds_and_satisfies_the_target() -> None:
    old = deployment(hub_environment__python_version="3.9.2", user_environments=[])
    seen = host(python_versions={"/usr/bin/python3.12": "3.12.1"})
    plan = make_plan(old, TARGET, seen, Policy(python="/usr/bin/python3.12"))
    assert findings_of(plan) == []
    assert plan.environments[0].strategy == "rebuild"
    assert plan.environments[0].python == "/usr/bin/python3.12"


def test_a_conda_environment_keeps_its_own_python_beside_a_venv_that_gets_another() -> None:
    old = deployment(
        hub_environment__python_version="3.9.2",
        user_environments__kind="conda",
        user_environments__python_version="3.9.18",
    )
    seen = host(python_versions={"/usr/bin/python3.12": "3.12.1"})
    plan = make_plan(old, TARGET, seen, Policy(python="/usr/bin/python3.12"))
    assert [entry.strategy for entry in plan.environments] == ["rebuild", "copy"]
    [finding] = findings_of(plan)
    assert finding == "python-too-old"
    [found] = [each for each in plan.findings if each.id == finding]
    assert found.found == "JupyterHub 6.1.1 needs Python >=3.10, /opt/user-env has 3.9.18."
    assert "conda create --clone" in found.fix


def test_without_disk_space_for_a_copy_the_upgrade_is_in_place_and_reports_it() -> None:
    short = host(free_bytes={"/opt": GIBIBYTE + 100 * 1024**2, "/var/lib/hubops/jupyterhub": GIBIBYTE})
    plan = make_plan(deployment(user_environments=[]), TARGET, short, Policy())
    assert [entry.strategy for entry in plan.environments] == ["in_place"]
    assert findings_of(plan) == ["in-place"]
