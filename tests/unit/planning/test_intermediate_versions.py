from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import intermediate_versions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import (
    fallback_path,
    make_plan,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import (
    NEVER,
    WHEN_MIGRATION_FAILS,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy

from tests.healthy_hub import HUB, TARGET, host
from tests.healthy_hub import deployment as hub

OF_2 = "833da8570507"


@pytest.mark.parametrize(
    ("revision", "servers", "target", "through"),
    [
        (OF_2, 1, "6.1.1", ["4.1.6"]),
        (OF_2, 1, "5.4.6", ["4.1.6"]),
        (OF_2, 1, "4.1.6", []),
        (OF_2, 0, "6.1.1", []),
        ("0eee8c825d24", 7, "6.1.1", []),
    ],
)
def test_an_intermediate_version_is_planned_where_one_step_fails(
    revision: str, servers: int, target: str, through: list[str]
) -> None:
    found = intermediate_versions.needed(hub(database__revision=revision, database__servers=servers), target)
    assert [intermediate.version for intermediate in found] == through


@pytest.mark.parametrize(
    ("url", "requirements"),
    [
        ("sqlite:///jupyterhub.sqlite", ()),
        ("postgresql://hub@/hub", ("sqlalchemy<2.1", "psycopg2-binary")),
        ("postgresql+psycopg://hub@/hub", ("psycopg[binary]",)),
        ("mysql+pymysql://hub@/hub", ("PyMySQL",)),
    ],
)
def test_an_intermediate_version_has_the_driver_of_the_database(
    url: str, requirements: tuple[str, ...]
) -> None:
    deployment = hub(database__revision=OF_2, database__servers=1, database__url=url)
    (found,) = intermediate_versions.needed(deployment, "6.1.1")
    assert found.requirements == ("jupyterhub==4.1.6", *requirements)


def test_a_hub_before_sqlalchemy_2_has_the_driver_that_it_knows() -> None:
    deployment = hub(hub_environment__jupyterhub="1.5.1", database__url="postgresql://hub@/hub")
    found = intermediate_versions.through_the_majors(deployment, "5.4.6", "", "It failed.")
    assert found[0].requirements == ("jupyterhub==2.3.1", "sqlalchemy<2", "psycopg2-binary")


def test_the_plan_names_the_intermediate_version_and_the_reason() -> None:
    deployment = hub(database__revision=OF_2, database__servers=3, hub_environment__jupyterhub="2.3.1")
    plan = make_plan(deployment, TARGET, host(), Policy(python="/usr/bin/python3.12"))
    (intermediate,) = plan.intermediate_versions
    assert (intermediate.staged_path, intermediate.python) == (
        f"{HUB}.intermediate-4.1.6",
        "/usr/bin/python3.12",
    )
    assert intermediate.source == "https://github.com/jupyterhub/jupyterhub/issues/5427"
    (staged,) = [step for step in plan.steps if "for the migration" in step]
    assert "where a user's server is registered" in staged
    assert "Migrate /srv/jupyterhub/jupyterhub.sqlite through JupyterHub 4.1.6." in plan.steps


@pytest.mark.parametrize(
    ("hub_version", "target", "through"),
    [
        ("4.1.6", "6.1.1", ["5.4.6"]),
        ("1.5.1", "6.1.1", ["2.3.1", "3.1.1", "4.1.6", "5.4.6"]),
        ("2.0.0", "5.4.6", ["3.1.1", "4.1.6"]),
        ("5.0.0", "6.1.1", []),
        ("6.0.0", "6.1.1", []),
    ],
)
def test_another_way_goes_through_the_majors_in_between(
    hub_version: str, target: str, through: list[str]
) -> None:
    deployment = hub(hub_environment__jupyterhub=hub_version)
    plan = make_plan(
        deployment, replace(TARGET, version=target), host(), Policy(python="/usr/bin/python3.12")
    )
    way = fallback_path(plan, deployment, "The migration failed: no such table.")
    intermediate_versions = way.intermediate_versions if way else ()
    assert [intermediate.version for intermediate in intermediate_versions] == through
    for intermediate in intermediate_versions:
        assert way
        assert intermediate.python == "/usr/bin/python3.12"
        [step] = [step for step in way.steps if intermediate.staged_path in step]
        assert "for the migration: in one step it fails: The migration failed: no such table." in step


def test_who_goes_another_way_already_has_no_third() -> None:
    deployment = hub(database__revision=OF_2, database__servers=3, hub_environment__jupyterhub="2.3.1")
    plan = make_plan(deployment, TARGET, host(), Policy())
    assert plan.intermediate_versions
    assert fallback_path(plan, deployment, "It failed.") is None


def test_a_fresh_database_is_the_last_way_and_taken_where_it_is_allowed() -> None:
    plan = make_plan(hub(), TARGET, host(), Policy())
    first = fallback_path(plan, hub(), "It failed.", WHEN_MIGRATION_FAILS)
    assert first and first.intermediate_versions and not first.fresh_database
    plan = replace(plan, **vars(first))
    assert fallback_path(plan, hub(), "It failed again.", NEVER) is None
    last = fallback_path(plan, hub(), "It failed again.", WHEN_MIGRATION_FAILS)
    assert last and last.fresh_database == "It failed again."
    assert (plan.running_servers, last.running_servers) == ("keep", "stop")
    [step] = [step for step in last.steps if "fresh database" in step]
    assert step.endswith("and what spawners remember: It failed again.")
    assert not any(step.startswith("Migrate") for step in last.steps)
    assert fallback_path(replace(plan, **vars(last)), hub(), "It failed.", WHEN_MIGRATION_FAILS) is None
