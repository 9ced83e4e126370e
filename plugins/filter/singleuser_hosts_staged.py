# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable


def staged(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What staging has made of environments of other hosts, under names that say on which host they are."""
    found = []
    for result in results:
        item = result["item"].get("item", result["item"])
        for each in result.get("environments", []):
            if not each["fault"]:
                path = f"{each['path']} on {item['host']}"
                found.append({**each, "path": path, "line": f"{path}: {_packages(each['changes'])}"})
    return found


def _packages(changes: list[dict[str, Any]]) -> str:
    named = [f"{each['name']} {each['from'] or '(none)'} -> {each['to'] or '(none)'}" for each in changes]
    return ", ".join(named) or "no package that is known now"


class FilterModule:
    """What was staged on other hosts of single-user servers."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"singleuser_hosts_staged": staged}
