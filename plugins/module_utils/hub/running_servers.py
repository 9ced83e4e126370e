"""The single-user servers of a hub that run: which, whether they are in use, and whether each answers."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..errors import HubError
from .api import Answer, ask, read

PAGINATED = "application/jupyterhub-pagination+json"
#: Users in one answer: no hub gives more.
PAGE = 200
#: Servers that are asked or started at the same time: the hub does each in its one process.
AT_ONCE = 16
#: And stopped: a hub answers only after ten seconds where a server takes longer than that.
STOPPED_AT_ONCE = 100
LOOK_SECONDS = 0.5
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class RunningServer:
    """A server that the hub counts as running."""

    user: str
    name: str
    """'' for the user's default server."""
    path: str
    """Of its URL: ``/user/ada/``."""
    last_activity: str = ""
    """As the hub has noted it, ISO 8601 in UTC; '' where it knows of none."""

    @property
    def label(self) -> str:
        """Its name for people: ``ada``, or ``ada/gpu`` of a named server."""
        return f"{self.user}/{self.name}" if self.name else self.user

    def is_idle(self, seconds: float) -> bool:
        """Whether nobody has used it for so long, as far as the hub knows."""
        if not self.last_activity:
            return False
        active = datetime.fromisoformat(self.last_activity.rstrip("Z").partition("+")[0])
        return datetime.now(timezone.utc).replace(tzinfo=None) - active > timedelta(seconds=seconds)


def listed(api_url: str, token: str) -> list[RunningServer]:
    """All servers that run, of all pages. Raises HubError when the hub does not say."""
    found: list[RunningServer] = []
    offset: int | None = 0
    while offset is not None:
        page = read(f"{api_url}/users?state=active&offset={offset}&limit={PAGE}", token, accept=PAGINATED)
        # Hubs before 2.0 have no pages.
        users, following = (
            (page, None) if isinstance(page, list) else (page["items"], page["_pagination"]["next"])
        )
        found += [
            RunningServer(user["name"], name, server["url"], server.get("last_activity") or "")
            for user in users
            for name, server in (user.get("servers") or {}).items()
            # One that is not ready has nobody in it; before 1.3 a hub lists also users without servers.
            if server.get("ready")
        ]
        offset = following["offset"] if following else None
    return found


def takes_shut_down(api_url: str, token: str) -> bool:
    """Whether the hub would end when it is asked to: one that `python -m jupyterhub.app` has started fails.

    It is asked for what no hub does.
    """
    return ask(f"{api_url}/shutdown", token, "POST", {"proxy": "?"}).status == 400


def shut_down(api_url: str, token: str, servers: bool, proxy: bool) -> None:
    """Have the hub end, and with it users' ``servers``, and the ``proxy`` that it has started, as told.

    Raises HubError when it refuses.
    """
    answer = ask(f"{api_url}/shutdown", token, "POST", {"servers": servers, "proxy": proxy})
    if answer.status not in (200, 202):
        raise HubError(f"The hub was to end, and answered {answer}.")


def stop(api_url: str, token: str, servers: Iterable[RunningServer], timeout: float) -> list[RunningServer]:
    """Have the hub stop servers; those that still run after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout

    def request(server: RunningServer) -> Answer:
        return _request(api_url, token, server, "DELETE", deadline)

    return _act(servers, request, deadline, (204, 404), STOPPED_AT_ONCE)


def start(api_url: str, token: str, servers: Iterable[RunningServer], timeout: float) -> list[RunningServer]:
    """Have the hub start servers; those that are not ready after ``timeout`` seconds."""
    wanted, deadline = list(servers), time.monotonic() + timeout

    def request(server: RunningServer) -> Answer:
        return _request(api_url, token, server, "POST", deadline)

    _act(wanted, request, deadline, (201, 202, 400), AT_ONCE)
    while True:
        ready = {(server.user, server.name) for server in listed(api_url, token)}
        missing = [server for server in wanted if (server.user, server.name) not in ready]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(LOOK_SECONDS)


def unanswered(public_url: str, servers: Iterable[RunningServer], timeout: float) -> dict[str, str]:
    """Servers that do not answer on their route, with what came instead, after ``timeout`` seconds.

    ``public_url`` is the proxy's. A proxy without a route to a server leads to the hub, which sends the user
    to its own pages. No token is needed: a server answers its version, or where to log in.
    """
    address = urllib.parse.urlsplit(public_url)
    root = f"{address.scheme}://{address.netloc}"
    hub = f"{address.path.rstrip('/')}/hub/user/"
    deadline = time.monotonic() + timeout

    def answer_of(server: RunningServer) -> Answer:
        while True:
            answer = ask(f"{root}{server.path}api", timeout=ANSWER_SECONDS)
            if _is_its_own(answer, hub) or time.monotonic() > deadline:
                return answer
            time.sleep(LOOK_SECONDS)

    wanted = list(servers)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(answer_of, wanted))
    return {
        server.label: str(answer) for server, answer in zip(wanted, answers) if not _is_its_own(answer, hub)
    }


def _is_its_own(answer: Answer, hub: str) -> bool:
    """Whether it is a server's, and not its proxy's or the hub's."""
    location = urllib.parse.urlsplit(answer.headers.get("location", "")).path
    return 0 < answer.status < 500 and not location.startswith(hub)


def _act(
    servers: Iterable[RunningServer],
    request: Callable[[RunningServer], Answer],
    deadline: float,
    done: tuple[int, ...],
    at_once: int,
) -> list[RunningServer]:
    """Make a request for each server, and again for those that are not ``done``; those that never were.

    Each has its turn before one has another: many that take for ever keep no other one from being asked.
    """

    def is_done(server: RunningServer) -> bool:
        return time.monotonic() < deadline and request(server).status in done

    left = list(servers)
    with ThreadPoolExecutor(at_once) as pool:
        while True:
            left = [server for server, acted in zip(left, pool.map(is_done, left)) if not acted]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(LOOK_SECONDS)


def _request(api_url: str, token: str, server: RunningServer, method: str, deadline: float) -> Answer:
    user, name = (urllib.parse.quote(each, safe="") for each in (server.user, server.name))
    where = f"servers/{name}" if name else "server"
    left = max(deadline - time.monotonic(), LOOK_SECONDS)
    return ask(f"{api_url}/users/{user}/{where}", token, method, timeout=left)
