"""The catalogue agrees with the wheels on the index."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import schema
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.asking import target_facts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases import catalogue
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.migrations import history
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import parse_release

from tests.hubs.real_hub import environment

#: Hubs that tests run anyway, and older releases of which the wheel alone is fetched.
HUBS = ("1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6", "6.1.1")
WHEELS = ("0.8.1", "0.9.6", "1.2.2", "1.3.0", "3.1.0")


@pytest.mark.parametrize("version", HUBS)
def test_python_and_schema_of_a_hub(version: str) -> None:
    [metadata] = environment(version).glob("lib/python3.*/site-packages/jupyterhub-*.dist-info/METADATA")
    series = catalogue.series_of(parse_release(version))
    assert series is not None
    assert f"Requires-Python: {series.requires_python}" in metadata.read_text().splitlines()
    assert catalogue.schema_head(parse_release(version)) == schema.head_revision(environment(version))


@pytest.mark.parametrize("version", WHEELS)
def test_python_and_schema_of_a_wheel(version: str) -> None:
    wheel = target_facts(version, read_environment(environment("6.1.1")), InstallerOptions())
    series = catalogue.series_of(parse_release(version))
    assert series is not None
    assert series.requires_python == wheel["requires_python"]
    assert catalogue.schema_head(parse_release(version)) == wheel["schema_head"]


def test_every_row_is_held_against_a_release() -> None:
    rows = {catalogue.series_of(parse_release(version)) for version in (*HUBS, *WHEELS)}
    assert rows == set(catalogue.SERIES)


def test_the_history_of_the_schema_is_that_of_the_newest_release() -> None:
    known = schema.revisions(environment("6.1.1"))
    assert [each.id for each in catalogue.revisions()] == sorted(
        known, key=lambda revision: len(history(known, revision))
    )
