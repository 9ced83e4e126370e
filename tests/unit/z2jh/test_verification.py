"""Whether every person has the volume of before, and what a hub that does not start waits for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Server, Volume
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.upgrade import describe
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.verification import (
    compare_volumes,
    lost_servers,
    sentence,
)


def volume(user: str, claim: str, bound: str = "pv-1", server: str = "") -> Volume:
    return Volume(user, server, claim, volume=bound)


BEFORE = [volume("ada", "claim-ada"), volume("grace", "claim-grace--2ework", "pv-2", "work")]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (BEFORE, []),
        ([*BEFORE, volume("new", "claim-new---1")], []),
        (BEFORE[1:], ["The claim claim-ada of ada is gone."]),
        (
            [volume("ada", "claim-ada", "pv-9"), BEFORE[1]],
            ["ada has the volume pv-9 instead of pv-1."],
        ),
        (
            [*BEFORE, volume("ada", "claim-ada---8f3")],
            ["ada has got a second, empty volume, claim-ada---8f3, beside claim-ada."],
        ),
        (
            BEFORE[:1],
            ["The claim claim-grace--2ework of grace (server work) is gone."],
        ),
        # A second server's volume of the same person is nobody's loss.
        ([*BEFORE, volume("ada", "claim-ada--2ework", server="work")], []),
    ],
)
def test_each_person_whose_volume_is_another_one_is_named(after: list[Volume], said: list[str]) -> None:
    assert [sentence(each) for each in compare_volumes(BEFORE, after)] == said


def test_people_whose_servers_were_stopped_are_named() -> None:
    servers = [Server("ada", "", "jupyter-ada"), Server("grace", "", "jupyter-grace")]
    assert lost_servers(servers, ["jupyter-ada", "hub-1", "jupyter-grace"]) == []
    assert lost_servers(servers, ["jupyter-ada"]) == ["The servers of these users were stopped: grace."]


def pod(waiting: dict[str, str] | None = None, **rest: Any) -> dict[str, Any]:
    state = {"waiting": waiting} if waiting else {"running": {}}
    status: dict[str, Any] = {"phase": "Pending", "containerStatuses": [{"state": state, **rest}]}
    return {"metadata": {"name": "hub-1"}, "status": status}


@pytest.mark.parametrize(
    ("pods", "line", "stuck"),
    [
        ([], "hub has no pod yet", False),
        (
            [pod({"reason": "ImagePullBackOff", "message": "Back-off pulling image hub:none"})],
            "the pod hub-1 has ImagePullBackOff: Back-off pulling image hub:none",
            True,
        ),
        ([pod({"reason": "ContainerCreating"})], "the pod hub-1 has ContainerCreating", False),
        ([pod({"reason": "CrashLoopBackOff"})], "the pod hub-1 has CrashLoopBackOff", True),
        ([pod(restartCount=2, ready=False)], "the pod hub-1 has started 3 times", True),
        ([pod(restartCount=0, ready=False)], "the pod hub-1 is Pending, and not ready yet", False),
        (
            [{"metadata": {"name": "hub-1", "deletionTimestamp": "now"}}],
            "the pod hub-1 ends",
            False,
        ),
        (
            [
                {
                    "metadata": {"name": "hub-1"},
                    "status": {
                        "conditions": [
                            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available."}
                        ]
                    },
                }
            ],
            "the pod hub-1 is not scheduled: 0/1 nodes are available",
            False,
        ),
    ],
)
def test_what_a_new_hub_waits_for_is_said(pods: list[dict[str, Any]], line: str, stuck: bool) -> None:
    assert describe("hub", pods) == (line, stuck)
