"""A release is removed only where it is broken, nobody uses it, and somebody has said so by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.deletion import Deletion, require
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Server, Volume

BROKEN = Deletion("test", "hubs", "failed", ("hub-db-dir",), (Volume("ada", "", "claim-ada"),), ("p1",))


@pytest.mark.parametrize(
    ("what", "confirmation", "said"),
    [
        ({}, "", "Nothing was removed. The release test in hubs (failed) is removed."),
        ({}, "test", "z2jh_delete_confirm is test. Nothing was removed."),
        ({"serves": True}, "hubs/test", "The hub of test in hubs serves: it is not broken."),
        (
            {"servers": (Server("ada", "", "jupyter-ada"),)},
            "hubs/test",
            "Servers of these users run in test in hubs: ada.",
        ),
        ({"guarded": True}, "hubs/test", "is under way, or was cut off"),
        ({"owner": "Flux, HelmRelease hubs/test"}, "hubs/test", "belongs to Flux"),
    ],
)
def test_what_must_stay_is_refused(what: dict[str, Any], confirmation: str, said: str) -> None:
    with pytest.raises(HubError) as refused:
        require(replace(BROKEN, **what), confirmation)
    assert said in refused.value.message


def test_what_goes_and_what_stays_is_said() -> None:
    require(BROKEN, "hubs/test")
    assert BROKEN.summary() == [
        "The release test in hubs (failed) is removed.",
        "Claims that are removed with all their data: hub-db-dir.",
        "Recovery points that are removed: p1.",
        "1 claims of users stay.",
    ]
