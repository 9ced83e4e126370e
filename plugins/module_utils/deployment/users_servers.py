"""What becomes of users' servers while their hub is away: it is asked for it, with a token lent for that."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..hub import lab_notifications, running_servers
from ..hub.lab_notifications import Told
from ..hub.running_servers import RunningServer
from ..services.kinds import service_of
from . import proxy_route, verification
from .database import database_of
from .model import Deployment

#: The first tells when the hub knows the token. Administrators of hubs before 2.0 may do all of that.
SCOPES = ("read:hub", "list:users", "servers", "shutdown")
#: For who also writes to the servers themselves.
ACCESS = (*SCOPES, "access:servers")
LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Attendant:
    """Asks the hub that runs about its users' servers."""

    deployment: Deployment
    token: str

    @property
    def _api_url(self) -> str:
        return self.deployment.config.hub_api_url

    def listed(self) -> list[RunningServer]:
        """The servers that run. Raises HubError when the hub does not say."""
        return running_servers.listed(self._api_url, self.token)

    def takes_shut_down(self) -> bool:
        """Whether the hub would end when it is asked to."""
        return running_servers.takes_shut_down(self._api_url, self.token)

    def shut_down(self, servers: bool = False) -> None:
        """Have the hub end, with the ``servers`` or without, and without the proxy, which answers on.

        A proxy that the next hub could not find would keep it from starting, and ends as well.
        """
        proxy = self.deployment.proxy.managed and proxy_route.pid_of(self.deployment) is None
        running_servers.shut_down(self._api_url, self.token, servers, proxy)

    def wait_until_idle(
        self, idle: float, timeout: float, tell: Callable[[str], None]
    ) -> list[RunningServer]:
        """Wait until nobody has used one for ``idle`` seconds; those in use after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            servers = self.listed()
            busy = [server for server in servers if not server.is_idle(idle)]
            left = deadline - time.monotonic()
            if not busy or left <= 0:
                return busy
            tell(f"{len(busy)} of {len(servers)} in use, for {left:.0f} s more")
            time.sleep(min(LOOK_SECONDS, left))

    def stop(self, servers: list[RunningServer], timeout: float) -> list[RunningServer]:
        """Stop servers; those that still run after ``timeout`` seconds."""
        return running_servers.stop(self._api_url, self.token, servers, timeout)

    def start(self, servers: list[RunningServer], timeout: float) -> list[RunningServer]:
        """Start servers; those that are not ready after ``timeout`` seconds."""
        return running_servers.start(self._api_url, self.token, servers, timeout)

    def notify(self, text: str) -> Told:
        """Have JupyterLab show a text on the servers that run; needs `ACCESS`."""
        return lab_notifications.send(self.deployment.config.public_url, self.token, self.listed(), text)


@contextlib.contextmanager
def attending(
    deployment: Deployment,
    point: Path | None,
    seconds: float = 0,
    patience: float = float("inf"),
    scopes: tuple[str, ...] = SCOPES,
) -> Iterator[Attendant]:
    """An attendant for the next ``seconds`` and a few minutes; after the block the hub has no trace of it.

    An idle hub on a server's database may take minutes to know the token (`Database.seen_within`); at most
    ``patience`` seconds are waited. Raises HubError when no token can be lent.
    """
    database, context = database_of(deployment, point), service_of(deployment.service).context()
    environment = deployment.hub_environment.path
    lifetime = verification.TOKEN_SECONDS + database.seen_within + seconds
    with contextlib.ExitStack() as stack:
        lending = verification.lending(database, environment, context, scopes, False, lifetime)
        token = stack.enter_context(lending).token()
        seen_within = min(database.seen_within, patience)
        verification.wait_until_seen(deployment.config.hub_api_url, token, seen_within)
        yield Attendant(deployment, token)


def lost(deployment: Deployment, kept: list[RunningServer], timeout: float) -> list[str]:
    """Those of the servers that were to run on which do not answer on their route, a sentence each."""
    if not kept:
        return []
    if not deployment.proxy.answers:
        return [
            "Whether users' servers run on was not asked: the external proxy is not where the config says."
        ]
    unanswered = running_servers.unanswered(deployment.config.public_url, kept, timeout)
    return [
        f"The server of {label} was to run on, and does not answer on its route: {answer}."
        for label, answer in unanswered.items()
    ]
