"""Whether every person has the volume of before, and what a hub that does not start waits for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import (
    Database,
    Release,
    Server,
    Volume,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.upgrade import describe
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.verification import (
    compare_single_user,
    compare_volumes,
    lost_servers,
    other_images,
    refuse_servers,
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


ADA, GRACE = Server("ada", "", "jupyter-ada"), Server("grace", "work", "jupyter-grace--work")


@pytest.mark.parametrize(
    ("ended", "silent", "running", "said"),
    [
        ([], [], 2, []),
        ([GRACE], [], 2, ["The servers of these users were stopped: grace/work."]),
        # In a minute some users of many stop their servers, or a culler does.
        ([GRACE], [], 10, []),
        ([ADA, GRACE], [], 10, ["The servers of these users were stopped: ada, grace/work."]),
        # Nobody stops one and leaves it running.
        ([], [ADA], 100, ["The servers of these users run, and do not answer: ada."]),
    ],
)
def test_users_whose_servers_the_upgrade_has_stopped_or_cut_off_are_named(
    ended: list[Server], silent: list[Server], running: int, said: list[str]
) -> None:
    assert lost_servers(ended, silent, running) == said


@pytest.mark.parametrize(
    ("hub", "single_user", "said"),
    [
        ("5.4.6", "5.4.6", []),
        ("5.4.6", "5.2.1", []),
        # What is no JupyterHub does not say.
        ("5.4.6", "", []),
        ("5.4.6", "4.1.6", ["The users' image: It has JupyterHub 4.1.6, the hub has 5.4.6: another major."]),
    ],
)
def test_a_single_user_version_that_does_not_go_with_the_hub_is_said(
    hub: str, single_user: str, said: list[str]
) -> None:
    assert compare_single_user(hub, single_user) == said


ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.mark.parametrize(
    ("runs", "rehearsed", "said"),
    [
        (f"docker.io/library/hub@{ONE}", {"hub:5": ONE}, 0),
        (f"docker.io/library/hub@{OTHER}", {"hub:5": ONE}, 1),
        # Not rehearsed, or not known.
        (OTHER, {}, 0),
        (OTHER, {"hub:5": ""}, 0),
        ("", {"hub:5": ONE}, 0),
    ],
)
def test_a_hub_of_an_image_that_was_pushed_again_since_its_rehearsal_is_said(
    runs: str, rehearsed: dict[str, str], said: int
) -> None:
    pod: dict[str, Any] = {
        "metadata": {"name": "hub-1"},
        "spec": {"containers": [{"name": "hub", "image": "hub:5"}]},
        "status": {"containerStatuses": [{"name": "hub", "imageID": runs}]},
    }
    sentences = other_images([pod], rehearsed)
    assert len(sentences) == said
    assert all(ONE in each and OTHER in each for each in sentences)
    ends = {**pod, "metadata": {"name": "hub-0", "deletionTimestamp": "now"}}
    assert other_images([ends], rehearsed) == []


def test_servers_are_refused_by_their_users_names() -> None:
    release = Release("hub", "hubs", 1, "deployed", 1, "3.3.8", "4.1.6", Database("sqlite-pvc"))
    refuse_servers(release)
    with pytest.raises(HubError, match="The servers of these users run: ada, grace/work."):
        refuse_servers(replace(release, servers=(GRACE, ADA)))


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
