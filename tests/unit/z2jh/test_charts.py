"""The chart's versions, and what is said where a hub's version was given for a chart's."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import charts


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("5.5.0", "JupyterHub 5.5.0 is in the chart 4.4.0"),
        ("4.1.6", "JupyterHub 4.1.6 is in the chart 3.3.8"),
        ("5.9.9", "It looks like a version of JupyterHub"),
        ("4.0.7", "helm search repo"),
    ],
)
def test_a_version_of_jupyterhub_is_told_from_one_of_the_chart(wanted: str, said: str) -> None:
    assert said in charts.hint(wanted)


def test_versions_are_in_their_order() -> None:
    versions = [
        "0.11.1",
        "1.2.0",
        "3.3.8",
        "4.0.0-0.dev.git.6586.h0a16e5a0",
        "4.0.0-beta.1",
        "4.0.0",
        "4.0.10",
    ]
    assert sorted(versions, key=charts.order) == versions
    assert [each for each in versions if charts.is_prerelease(each)] == versions[3:5]
