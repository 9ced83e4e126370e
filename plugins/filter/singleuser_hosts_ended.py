# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.other_hosts import (
    FAILED,
    LEFT_OUT,
    RESTORED,
    UNCHANGED,
    UPGRADED,
    OtherHost,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.singleuser_hosts import problem

_PHASES = {"kept": UPGRADED, "restored": RESTORED, "": UNCHANGED}


def ended_hosts(
    results: Iterable[dict[str, Any]], hosts: Iterable[str], plan: Mapping[str, Any]
) -> list[dict[str, str]]:
    """How a run ended on each of the hosts; one without a result was left out by the plan, or had nothing."""
    done = {_host(result): result for result in results}
    found = [
        _ended(host, done[host]) if host in done else OtherHost(host, *_without_result(host, plan))
        for host in dict.fromkeys([*hosts, *done])
    ]
    return [{**to_dict(each), "line": each.line} for each in found]


def _host(result: dict[str, Any]) -> str:
    item = result["item"]
    return str(item if isinstance(item, str) else item["host"])


def _ended(host: str, result: dict[str, Any]) -> OtherHost:
    if "phase" in result:
        return OtherHost(host, _PHASES[result["phase"]])
    return OtherHost(host, FAILED, problem(result))


def _without_result(host: str, plan: Mapping[str, Any]) -> tuple[str, str]:
    left_out = [each for each in plan.get("left_out", []) if host in (each["path"], _on(each["path"]))]
    return (LEFT_OUT, " ".join(each["why"] for each in left_out)) if left_out else (UNCHANGED, "")


def _on(path: str) -> str:
    return path.rpartition(" on ")[2]


class FilterModule:
    """How a run ended on other hosts of single-user servers."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"singleuser_hosts_ended": ended_hosts}
