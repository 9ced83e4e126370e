"""Why a new hub does not start is told from its log."""

from __future__ import annotations

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Kubectl
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.upgrade import last_words


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


def test_a_hub_that_has_not_ended_has_the_log_that_it_writes() -> None:
    assert last_words(Restarting(Access("default")), [pod(0)]) == "Its log ends with:\nLoading the config"
