# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable


def singleuser_hosts(
    hub: str, group: Sequence[str], hubs: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The hosts of a group that belong to a hub, or with '' those that belong to none.

    A host belongs to the hub that its ``jupyterhub_hub`` names, and without that to the only one.
    """
    only = hubs[0] if len(hubs) == 1 else ""
    owners = {name: str(hostvars[name].get("jupyterhub_hub", "") or only) for name in group}
    return [name for name, owner in owners.items() if (owner if owner in hubs else "") == hub]


class FilterModule:
    """Which other hosts the servers of a hub run on."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"singleuser_hosts": singleuser_hosts}
