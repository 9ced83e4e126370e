# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.singleuser_hosts import problem


def unable(results: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Environments of other hosts that could not be changed; one that has only begun is in no result yet."""
    found = []
    for result in results:
        begun = "ansible_job_id" in result and not result.get("finished")
        if begun or "phase" in result:
            continue
        item = result["item"].get("item", result["item"])
        host = item["host"]
        if "environments" in result:
            faults = {each["path"]: each["fault"] for each in result["environments"] if each["fault"]}
            lines = {path: f"On {host}: {path} cannot be upgraded: {why}" for path, why in faults.items()}
        else:
            why = problem(result)
            faults = {each["path"]: why for each in item["environments"]}
            lines = {path: f"On {host}: {why}" for path in faults}
        found += [{"path": f"{path} on {host}", "why": faults[path], "line": lines[path]} for path in faults]
    return found


class FilterModule:
    """What has failed on other hosts of single-user servers."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"singleuser_hosts_unable": unable}
