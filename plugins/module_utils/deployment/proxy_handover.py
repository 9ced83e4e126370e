"""A hub's own proxy is replaced with it: the new one has the old one's routes before it is asked."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import HubError
from ..hub import api
from ..services.kinds import service_of
from ..system.firewall import Waiting
from ..system.listening import is_listening
from ..system.processes import Process, birth, is_alive
from . import proxy_route
from .model import Deployment
from .proxy_route import Table

_LOOK_SECONDS = 0.02
#: How often the service manager is asked for the new hub's process, which is not for nothing.
_ASK_SECONDS = 0.1
#: How long a proxy may take to end; one that takes longer is the new hub's to end.
_END_SECONDS = 1.0
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
    handover = _Handover(
        deployment, port, api_port, page, waiting, proxy_route.read(deployment), _NewHub(deployment)
    )
    thread = threading.Thread(target=handover.watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        handover.end.set()
        thread.join()
        with contextlib.suppress(OSError):
            handover.settle()


class _NewHub:
    """The hub that comes after the present one.

    It ends the proxy that it finds, and waits for a second before it looks whether that has ended. Where
    the proxy has ended by then, the outage is shorter by that second, and users' servers are reached sooner.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._service = service_of(deployment.service)
        self._old_proxy = proxy_route.found_next(deployment)
        self._old_hub = self._running()
        self._process: Process | None = None
        self._asked_at = 0.0

    def is_looking_for_its_proxy(self) -> bool:
        """Whether it has come so far that it ends the old proxy within a second."""
        if self._old_proxy is None or (self._old_hub and is_alive(self._old_hub.pid)):
            return False
        now = time.monotonic()
        if now - self._asked_at > _ASK_SECONDS:
            self._asked_at = now
            self._process = self._running()
        try:
            return self._process is not None and _is_loaded(self._process)
        except OSError:  # It has ended, or may not be looked at.
            return False

    def end_old_proxy(self) -> None:
        """End it as the new hub would, so that this one finds none."""
        pid, self._old_proxy = self._old_proxy, None
        if pid is None:
            return
        # It has ended, or is not ours to end.
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _END_SECONDS
        # Until it is reaped, the new hub takes it for running.
        while birth(pid) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _running(self) -> Process | None:
        with contextlib.suppress(HubError, OSError):
            return self._service.hub_process()
        return None


def _is_loaded(hub: Process) -> bool:
    """Whether a hub has read its config and opened its database. Raises OSError when it has ended.

    Its event loop comes after its imports, and brings a pair of sockets; what it opens and keeps next is
    the database.
    """
    opened = hub.descriptors()
    loop = min((number for number, what in opened.items() if what.endswith("[eventpoll]")), default=None)
    return loop is not None and max(opened) > loop + 2


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
    new_hub: _NewHub
    end: threading.Event = field(default_factory=threading.Event)
    has_changed: bool = False
    """Whether another proxy than the first is there."""

    def watch(self) -> None:
        """See to it until the ``end``, where the kernel says who listens."""
        with contextlib.suppress(OSError):
            read_at = time.monotonic()
            while not self.end.wait(_LOOK_SECONDS):
                if self.new_hub.is_looking_for_its_proxy():
                    self._hand_over(self.new_hub.end_old_proxy)
                # Somebody else may listen on the same port at another address.
                elif not (is_listening(self.port) and is_listening(self.api_port)):
                    self._hand_over()
                elif time.monotonic() - read_at > _READ_SECONDS:
                    self.known = proxy_route.read(self.deployment) or self.known
                    read_at = time.monotonic()
                    self._lead_back()

    def _hand_over(self, end_old: Callable[[], None] = lambda: None) -> None:
        """Wait for the next proxy, and give it the routes before it is asked for anything."""
        if self.known is None:
            return
        with self.waiting.requests() if self.waiting else contextlib.nullcontext():
            end_old()
            while not is_listening(self.api_port):
                if self.end.wait(_LOOK_SECONDS):
                    return
            self.has_changed = True
            deadline = time.monotonic() + _TAKE_SECONDS
            while time.monotonic() < deadline:
                table = proxy_route.read(self.deployment)
                if (table and table.add(self._routes(self.known))) or self.end.wait(_LOOK_SECONDS):
                    break
            self.settle()

    def _routes(self, known: Table) -> dict[str, dict[str, Any]]:
        """Those of the last proxy, the hub's to the page where no hub is there yet."""
        if known.hub is None:
            return known.routes
        target = self._hub_address() or self.page
        return {**known.routes, known.hub: {**known.routes[known.hub], "target": target}}

    def settle(self) -> None:
        """Have no route lead to the page where a hub is there: it may have come, and set it, meanwhile."""
        if self.has_changed:
            self.known = proxy_route.read(self.deployment) or self.known
            self._lead_back()

    def _lead_back(self) -> None:
        """Have the hub's route lead to the hub that is there, which may have set it before we did."""
        known = self.known
        if known is None or known.hub is None or not self.has_changed:
            return
        route = known.routes[known.hub]
        address = self._hub_address() if route["target"] == self.page else ""
        if address:
            known.set(known.hub, {**route, "target": address})

    def _hub_address(self) -> str:
        """Where the hub answers; '' where it does not yet."""
        url = self.deployment.config.hub_api_url
        address = urllib.parse.urlsplit(url)
        return f"{address.scheme}://{address.netloc}" if api.version(url) else ""
