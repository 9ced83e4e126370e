"""A hub's own proxy is replaced with it: the new one has the old one's routes before it is asked."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..hub import api
from ..system.firewall import Waiting
from ..system.listening import is_listening
from . import proxy_route
from .model import Deployment
from .proxy_route import Table

#: A hub that has ended its old proxy waits for a second before it starts another one.
_LOOK_SECONDS = 0.02
#: How old what is known of the routes may be.
_READ_SECONDS = 1.0
#: After which a proxy counts as one whose API takes no routes from here.
_TAKE_SECONDS = 10.0


@contextlib.contextmanager
def handing_over(deployment: Deployment, port: int, page: str, waiting: Waiting | None) -> Iterator[None]:
    """Give each proxy on ``port`` the routes of the one before it, for the time of the block.

    The hub's leads to ``page`` until the hub is there. Requests are ``waiting`` meanwhile, where they can be.
    """
    api_port = urllib.parse.urlsplit(deployment.proxy.api_url).port
    if api_port is None:
        yield
        return
    handover = _Handover(deployment, port, api_port, page, waiting, proxy_route.read(deployment))
    thread = threading.Thread(target=handover.watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        handover.end.set()
        thread.join()


@dataclass
class _Handover:
    """From one proxy to the next."""

    deployment: Deployment
    port: int
    api_port: int
    page: str
    waiting: Waiting | None
    known: Table | None
    """The last proxy's routes."""
    end: threading.Event = field(default_factory=threading.Event)
    has_changed: bool = False
    """Whether another proxy than the first is there."""

    def watch(self) -> None:
        """See to it until the ``end``, where the kernel says who listens."""
        with contextlib.suppress(OSError):
            read_at = time.monotonic()
            while not self.end.wait(_LOOK_SECONDS):
                # Somebody else may listen on the same port at another address.
                if not (is_listening(self.port) and is_listening(self.api_port)):
                    self._hand_over()
                elif time.monotonic() - read_at > _READ_SECONDS:
                    self.known = proxy_route.read(self.deployment) or self.known
                    read_at = time.monotonic()
                    self._lead_back()

    def _hand_over(self) -> None:
        """Wait for the next proxy, and give it the routes before it is asked for anything."""
        if self.known is None:
            return
        hub = self.known.hub
        routes = dict(self.known.routes)
        if hub:
            routes[hub] = {**routes[hub], "target": self.page}
        with self.waiting.requests() if self.waiting else contextlib.nullcontext():
            while not is_listening(self.api_port):
                if self.end.wait(_LOOK_SECONDS):
                    return
            self.has_changed = True
            deadline = time.monotonic() + _TAKE_SECONDS
            while time.monotonic() < deadline:
                table = proxy_route.read(self.deployment)
                if (table and table.add(routes)) or self.end.wait(_LOOK_SECONDS):
                    return

    def _lead_back(self) -> None:
        """Have the hub's route lead to the hub that is there, which may have set it before we did."""
        known = self.known
        if known is None or known.hub is None or not self.has_changed:
            return
        route = known.routes[known.hub]
        if route["target"] == self.page and api.version(self.deployment.config.hub_api_url):
            address = urllib.parse.urlsplit(self.deployment.config.hub_api_url)
            known.set(known.hub, {**route, "target": f"{address.scheme}://{address.netloc}"})
