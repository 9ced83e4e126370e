"""A hub's address while the hub is away: it answers with a page, and refuses no connection."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

from ..hub import hold_page
from ..system.firewall import waiting_connections
from . import proxy_route
from .model import Deployment
from .proxy_handover import handing_over


@dataclass(frozen=True)
class Held:
    """What could be done about it."""

    hold_page: bool
    """Whether the proxy that stays up leads to the page."""
    connections_wait: bool
    """Whether connections wait while no proxy listens, as when the new hub replaces the one that it finds."""


@contextlib.contextmanager
def holding(
    deployment: Deployment, expected: float | None = None, doing: str = hold_page.UPGRADED
) -> Iterator[Held]:
    """Hold the hub's address for the time of the block, in which the hub is stopped and started.

    ``expected`` and ``doing`` are for the page, as in `hold_page.serving`.
    """
    is_shown, page, waiting = False, "", None
    with contextlib.ExitStack() as held:
        port = _replaced_port(deployment)
        # Where the host has no port or no process left, the hub is upgraded or restored all the same.
        with contextlib.suppress(OSError):
            waiting = held.enter_context(waiting_connections(port)) if port else None
        with contextlib.suppress(OSError):
            page = held.enter_context(hold_page.serving(expected, doing))
            if port:
                held.enter_context(handing_over(deployment, port, page, waiting))
            is_shown = proxy_route.lead_to(deployment, page)
        yield Held(is_shown, waiting is not None)


def _replaced_port(deployment: Deployment) -> int | None:
    """The port of a proxy that goes with the hub; None where there is none on this host's network."""
    url = urllib.parse.urlsplit(deployment.config.public_url)
    if not (deployment.proxy.managed and deployment.service.sees_host and url.scheme in ("http", "https")):
        return None
    return url.port or (443 if url.scheme == "https" else 80)
