"""Why a new hub does not start is told from its log."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Kubectl
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.upgrade import ends, last_words


class Restarting(Kubectl):
    """A cluster that has the log of the hub that has ended only when it is asked a second time."""

    asked = 0

    def logs(self, name: str, container: str = "", tail: int = -1, previous: bool = False) -> str:
        if not previous:
            return "Loading the config\n"
        self.asked += 1
        if self.asked == 1:
            raise HubError("previous terminated container not found")
        return "Loading the config\nRuntimeError: broken\n"


def pod(restarts: int) -> dict[str, Any]:
    return {"metadata": {"name": "hub-1"}, "status": {"containerStatuses": [{"restartCount": restarts}]}}


def test_the_log_of_a_hub_that_has_ended_is_waited_for() -> None:
    assert last_words(Restarting(Access("default")), [pod(2)]).endswith("RuntimeError: broken")


def test_the_log_of_a_hub_that_is_over_is_its_own_and_not_that_of_the_one_before() -> None:
    over = pod(2)
    over["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 1}}

    class Removed(Kubectl):
        """A node that has the log of the last container alone."""

        def run(self, *argv: str, stdin: bytes = b"", timeout: float = 0) -> bytes:
            if "--previous" in argv:
                return b"unable to retrieve container logs for containerd://0123"
            return b"RuntimeError: broken\n"

    assert last_words(Removed(Access("default")), [over]) == "Its log ends with:\nRuntimeError: broken"
    # Also where the hub has been started again meanwhile.
    assert last_words(Removed(Access("default")), [pod(0)]) == "Its log ends with:\nRuntimeError: broken"


def test_a_hub_that_has_not_ended_has_the_log_that_it_writes() -> None:
    assert last_words(Restarting(Access("default")), [pod(0)]) == "Its log ends with:\nLoading the config"


@pytest.mark.parametrize(
    ("restarts", "state", "expected"),
    [
        (0, {"running": {}}, 0),
        # Of an image that is not there nothing has ended.
        (0, {"waiting": {"reason": "ErrImagePull"}}, 0),
        (1, {"waiting": {"reason": "CrashLoopBackOff"}}, 2),
        (2, {"running": {}}, 0),
        (2, {"terminated": {"exitCode": 1}}, 3),
        (2, {"waiting": {"reason": "CrashLoopBackOff"}}, 3),
    ],
)
def test_a_hub_that_runs_may_become_ready_however_often_it_has_ended(
    restarts: int, state: dict[str, Any], expected: int
) -> None:
    status = {"containerStatuses": [{"restartCount": restarts, "state": state}]}
    assert ends([{"metadata": {"name": "hub-1"}, "status": status}]) == expected
    assert ends([]) == 0
