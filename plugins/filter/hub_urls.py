# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any, Callable
from urllib.parse import urlsplit, urlunsplit

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def hub_urls(config: dict[str, Any], host: str) -> list[str]:
    """Addresses of the API of a hub with this config, as other hosts reach it; ``host`` is the hub's."""
    own = [str(config["hub_api_url"]), f"{config['public_url']}hub/api"]
    return list(dict.fromkeys([*(_through(url, host) for url in own), own[0]]))


def _through(url: str, host: str) -> str:
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    name = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{name}:{parts.port}" if parts.port else name))


class FilterModule:
    """How other hosts reach a hub."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hub_urls": hub_urls}
