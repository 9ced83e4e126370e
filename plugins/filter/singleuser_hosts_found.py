# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.found_host import FoundHost
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.singleuser_hosts import problem


def found_hosts(results: Iterable[dict[str, Any]], unassigned: Iterable[str]) -> list[dict[str, Any]]:
    """What a plan has to know of other hosts: what was found on each, or why nothing was."""
    found = [
        result["found"] if "found" in result else to_dict(FoundHost(result["item"], problem(result)))
        for result in results
    ]
    why = "It belongs to none of the hubs: its jupyterhub_hub names no host of theirs, or is not set."
    return found + [to_dict(FoundHost(name, why, without_hub=True)) for name in unassigned]


class FilterModule:
    """What was found on other hosts of single-user servers."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"singleuser_hosts_found": found_hosts}
