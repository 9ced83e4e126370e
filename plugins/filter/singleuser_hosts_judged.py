# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import FAIL
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.singleuser_hosts import problem


def judged(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether servers that start on other hosts go with the hub, a sentence for each environment."""
    found: list[dict[str, Any]] = []
    for result in results:
        host = result["item"]
        if "match" not in result:
            found.append({"host": host, "fits": False, "line": f"On {host}: {problem(result)}"})
        found += [
            {
                "host": host,
                "fits": each["verdict"] != FAIL,
                "line": f"On {host}: {each['path']}: {each['reason']}",
            }
            for each in result.get("match", [])
        ]
    return found


class FilterModule:
    """Verdicts on other hosts of single-user servers."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"singleuser_hosts_judged": judged}
