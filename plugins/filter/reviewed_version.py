# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.newest import WORDS


def reviewed_version(wanted: str, plans: dict[str, Any] | None, host: str) -> str:
    """The version that was reviewed for a host, where ``wanted`` is only a word for it."""
    return str(plans[host]["to_version"]) if wanted in WORDS and plans and host in plans else wanted


class FilterModule:
    """What a reviewed plan has fixed."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"reviewed_version": reviewed_version}
