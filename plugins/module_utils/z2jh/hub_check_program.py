"""Runs in the hub's pod, in the hub's own Python, handed over as text: asks the running hub, as a person.

It imports nothing of this collection. On standard input is a request in JSON: ``lender``, the text of the
program that lends a token; ``url``, the database's, which may have a password; ``base_url``; ``servers``, the
``[user, server]`` of those that must answer; ``user``, who logs in and whose server is started and stopped,
or ''; ``seconds`` for that; ``states``, whether to read what the hub remembers of servers; ``stop``, whether
to stop all servers first, in as many ``seconds``; ``seen_within``, the seconds that a hub which nobody uses
may take to know what was written into its database.

A user whom the hub does not know is created, and removed afterwards with the volume; so is one whose name
begins with ``hubops-``, which an earlier check has left behind.

The answer is one line of JSON on standard output: ``version``, ``users``, ``stopped`` (the ``[user, server]``
that were), ``silent`` (those of ``servers`` that do not answer), ``server`` (what became of the user's),
``single_user_version`` (what that has answered with), ``states`` (``[user, server, state]``), and
``problems``.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Iterator

HUB = "http://127.0.0.1:8081"
TOKEN_SECONDS = 1800
#: What the hub has made itself it knows at once, but for a moment.
KNOWN_SECONDS = 20
#: A proxy that has just started may not listen yet.
PROXY_SECONDS = 30
#: A hub that has just started looks for each server, and gives the proxy their routes, one after the other.
SERVERS_SECONDS = 60
#: How long the hub is left alone after it was asked to give the proxy its routes.
HAND_OUT_SECONDS = 5
ASKING_SECONDS = 30
REASON_SECONDS = 5
LOOK_SECONDS = 0.5
PAGE = 200
#: How many servers are asked at once.
AT_ONCE = 20
#: A user of this name is one of ours.
OURS = "hubops-"
#: What the hub answers with in place of a server that does not run.
NOT_RUNNING = 424
VERSION_HEADER = "X-JupyterHub-Version"


class Unanswered(Exception):
    """The hub has not answered as it should."""


def main() -> None:
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))) + "\n")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {
        **{"version": "", "users": [], "stopped": [], "silent": [], "server": "", "single_user_version": ""},
        **{"states": [], "problems": []},
    }
    base = f"{HUB}{request['base_url'].rstrip('/')}/hub/api"
    try:
        result["version"] = ask(base, "/")["version"]
        with lent_token(request) as token:
            ask(base, "/users?limit=1", token, seconds=request["seen_within"])
            result["problems"] += ask_proxy(base, token, request["base_url"])
            result["users"] = users(base, token)
            if request["stop"]:
                result["stopped"] = stop_all(base, token, request["seconds"])
            result["silent"] = silent(base, token, request["servers"])
            if request["states"]:
                result["states"] = states(base, token)
            if request["user"]:
                person = Person(base, token, request["user"], request["user"] in result["users"])
                result["server"], result["single_user_version"] = person.try_server(request["seconds"])
                result["users"] = [name for name in result["users"] if name != person.name or person.stays]
    except (Unanswered, OSError, ValueError, KeyError) as error:
        result["problems"].append(
            f"{error}" if isinstance(error, Unanswered) else f"{type(error).__name__}: {error}"
        )
    return result


@contextlib.contextmanager
def lent_token(request: dict[str, Any]) -> Iterator[str]:
    """A token with the rights that the request takes, for as long as the block."""
    scopes = ["list:users", "read:hub", "read:servers", "proxy"]
    scopes += ["admin:server_state"] if request["states"] else []
    scopes += ["delete:servers"] if request["stop"] else []
    if request["user"]:
        # The hub lets a service make no token for a user by a right that is limited to the user.
        scopes += ["admin:users", "tokens", f"servers!user={request['user']}"]
    lender = subprocess.Popen(
        [sys.executable, "-c", request["lender"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if lender.stdin is None or lender.stdout is None:
        raise Unanswered("The program that lends a token has no pipes.")
    wanted = {"url": request["url"], "seconds": TOKEN_SECONDS, "scopes": scopes, "starts": False}
    lender.stdin.write(json.dumps(wanted) + "\n")
    lender.stdin.flush()
    line = lender.stdout.readline()
    if not line:
        raise Unanswered("No token could be written into the hub's database.")
    try:
        yield json.loads(line)["token"]
    finally:
        lender.stdin.close()
        lender.wait(60)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(
    base: str,
    path: str,
    token: str = "",
    method: str = "GET",
    body: Any = None,
    seconds: float = KNOWN_SECONDS,
) -> Any:
    """What the hub answers; None for nothing, and where there is no such thing.

    ``seconds``: how long it may refuse a token that it does not know yet.
    """
    request = urllib.request.Request(base + path, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
    if token:
        request.add_header("Authorization", f"token {token}")
    deadline = time.monotonic() + seconds
    while True:
        try:
            with opener().open(request, timeout=ASKING_SECONDS) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            if error.code != 403 or time.monotonic() > deadline:
                raise Unanswered(f"The hub answers {method} {path} with {error.code}{said(error)}.") from None
        except OSError as error:
            raise Unanswered(f"The hub does not answer {method} {path}: {error}.") from None
        time.sleep(LOOK_SECONDS)


def said(error: urllib.error.HTTPError) -> str:
    """The hub's own words for a refusal."""
    try:
        return f": {json.loads(error.read())['message']}".rstrip(".")
    except (ValueError, KeyError, TypeError, OSError):
        return ""


def ask_proxy(base: str, token: str, base_url: str) -> list[str]:
    """What is wrong with the way to the hub that browsers take, by the addresses that a pod is given."""
    urls = [f"{address}{base_url.rstrip('/')}/hub/api/" for address in proxy_addresses()]
    deadline = time.monotonic() + PROXY_SECONDS
    while urls:
        problem = proxy_problem(urls)
        if not problem:
            break
        if time.monotonic() > deadline:
            return [problem]
        hand_out_routes(base, token)
        time.sleep(LOOK_SECONDS)
    return []


def proxy_addresses() -> list[str]:
    """Where the proxy is, best first. With HTTPS its service has that port first, as the chart makes it."""
    name = next((each for each in os.environ if each.endswith("PROXY_PUBLIC_SERVICE_HOST")), "")
    if not name:
        return []
    host = os.environ[name]
    at = f"[{host}]" if ":" in host else host
    port = name[: -len("HOST")] + "PORT"
    named = {scheme: os.environ.get(f"{port}_{scheme.upper()}") for scheme in ("https", "http")}
    found = [f"{scheme}://{at}:{number}" for scheme, number in named.items() if number]
    if named["https"]:
        # Where somebody else ends TLS (``offload``), plain HTTP comes in by this port.
        found.append(f"http://{at}:{named['https']}")
    return found or [f"http://{at}:{os.environ.get(port, '80')}"]


def proxy_problem(urls: list[str]) -> str:
    """Why the hub is not reached through the proxy at any of these; '' where it is at one."""
    problems = []
    for url in urls:
        try:
            with opener(NoRedirect).open(url, timeout=ASKING_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            # A proxy without routes has no such page. A redirection or a refusal is an answer.
            if error.code < 500 and error.code not in (400, 404):
                return ""
            problems.append(f"{url} with {error.code}")
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{url}: {error}")
    return f"The hub does not answer through the proxy: {'; '.join(problems)}."


def hand_out_routes(base: str, token: str) -> None:
    """Have the hub give the proxy all routes, as it does at its start, and then once a minute or less.

    A proxy that was replaced after the hub's start has none until then.
    """
    # A proxy that does not run yet is the hub's error.
    with contextlib.suppress(Unanswered):
        ask(base, "/proxy", token, "POST")


def opener(*handlers: Any) -> urllib.request.OpenerDirector:
    """Asks within the cluster, past any proxy for the Internet, and whatever name a certificate has."""
    # Addresses have no names; nothing secret is sent to what is asked by HTTPS.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    direct = urllib.request.ProxyHandler({})
    return urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context), *handlers)


def pages(base: str, token: str, path: str) -> Iterator[Any]:
    """What a list of the hub has, page by page: of models, or by name."""
    offset = 0
    while True:
        page = ask(base, f"{path}{'&' if '?' in path else '?'}offset={offset}&limit={PAGE}", token) or []
        yield from page.values() if isinstance(page, dict) else page
        offset += len(page)
        if len(page) < PAGE:
            return


def users(base: str, token: str) -> list[str]:
    """The names of all users."""
    return list(dict.fromkeys(user["name"] for user in pages(base, token, "/users")))


def active(base: str, token: str) -> list[tuple[str, str, Any]]:
    """User, name and description of each server that runs, starts or stops."""
    return [
        (user["name"], name, server)
        for user in pages(base, token, "/users?state=active")
        for name, server in (user.get("servers") or {}).items()
    ]


def stop_all(base: str, token: str, seconds: float) -> list[list[str]]:
    """Stop all servers, also those that are started meanwhile; which they were."""
    deadline = time.monotonic() + seconds
    stopped: dict[tuple[str, str], None] = {}
    while True:
        left = [(user, name) for user, name, _server in active(base, token)]
        if not left:
            return [list(each) for each in stopped]
        if time.monotonic() > deadline:
            names = ", ".join(sorted(f"{user}/{name}".rstrip("/") for user, name in left))
            raise Unanswered(f"The servers of these users have not stopped within {seconds:.0f} s: {names}.")
        stopped.update(dict.fromkeys(left))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda each: stop_one(base, token, *each), left))
        time.sleep(LOOK_SECONDS)


def stop_one(base: str, token: str, user: str, name: str) -> None:
    path = f"/users/{urllib.parse.quote(user, safe='')}/server"
    # One that starts or stops already is refused: it is looked at again.
    with contextlib.suppress(Unanswered):
        ask(base, f"{path}s/{urllib.parse.quote(name, safe='')}" if name else path, token, "DELETE")


def states(base: str, token: str) -> list[list[Any]]:
    """What the hub's process remembers of each server that runs, and keeps when it stops."""
    return [[user, name, server.get("state") or {}] for user, name, server in active(base, token)]


def silent(base: str, token: str, servers: list[list[str]]) -> list[list[str]]:
    """Those of the servers to which the proxy has no route, or that do not answer where it leads."""
    left = [(each[0], each[1]) for each in servers]
    deadline = time.monotonic() + SERVERS_SECONDS
    next_hand_out = time.monotonic()
    while left:
        known = routes(base, token)
        if time.monotonic() >= next_hand_out and any(each not in known for each in left):
            hand_out_routes(base, token)
            next_hand_out = time.monotonic() + HAND_OUT_SECONDS
            known = routes(base, token)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(is_answering, [known.get(each) for each in left]))
        left = [each for each, is_so in zip(left, answers) if not is_so]
        if time.monotonic() > deadline:
            break
        if left:
            time.sleep(LOOK_SECONDS)
    return [list(each) for each in left]


def routes(base: str, token: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Where the proxy leads to for each server: the server's own address, and the path there."""
    found = {}
    for route in pages(base, token, "/proxy"):
        data = route.get("data") or {}
        if "user" in data:
            spec = route["routespec"]
            found[data["user"], data.get("server_name", "")] = (route["target"], spec[spec.index("/") :])
    return found


def is_answering(route: tuple[str, str] | None) -> bool:
    """Whether a server answers. One that only speaks with the hub's certificates is not asked."""
    if route is None:
        return False
    target, path = route
    return not target.startswith("http:") or status(target, path)[0] not in (0, NOT_RUNNING, *range(500, 600))


def status(target: str, path: str, token: str = "") -> tuple[int, str]:
    """The status that a server answers with, 0 for none, and its JupyterHub."""
    parts = urllib.parse.urlsplit(target)
    url = f"{parts.scheme}://{parts.netloc}{path}api/status"
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"} if token else {})
    try:
        with opener(NoRedirect).open(request, timeout=ASKING_SECONDS) as reply:
            return reply.status, reply.headers.get(VERSION_HEADER, "")
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get(VERSION_HEADER, "")
    except (OSError, ValueError):
        return 0, ""


class Person:
    """Someone who logs in by a token and uses a server, and leaves nothing behind."""

    def __init__(self, base: str, token: str, name: str, known: bool) -> None:
        self.base, self.token, self.name, self.known = base, token, name, known
        self.stays = known and not name.startswith(OURS)
        self.path = f"/users/{urllib.parse.quote(name, safe='')}"

    def try_server(self, seconds: float) -> tuple[str, str]:
        """Log in, start a server, use it and stop it; how that went, and the server's JupyterHub."""
        if not self.known:
            ask(self.base, self.path, self.token, "POST")
        note = {"note": "verification of an upgrade", "expires_in": TOKEN_SECONDS}
        own = ask(self.base, f"{self.path}/tokens", self.token, "POST", note)
        try:
            found = self.use_server(own["token"], seconds)
        except Unanswered:
            # What has failed first is what counts.
            with contextlib.suppress(Unanswered):
                self.leave(own["id"])
            raise
        self.leave(own["id"])
        return found

    def use_server(self, own: str, seconds: float) -> tuple[str, str]:
        who = (ask(self.base, "/user", own) or {}).get("name")
        if who != self.name:
            raise Unanswered(f"The hub takes the token of {self.name} for one of {who}.")
        if self.server() is not None:
            return "runs already, and was left alone", ""
        begun = time.monotonic()
        try:
            self.start(begun + seconds)
            took = time.monotonic() - begun
            version = self.open(own)
        except Unanswered:
            with contextlib.suppress(Unanswered):
                self.stop(time.monotonic() + ASKING_SECONDS)
            raise
        self.stop(time.monotonic() + seconds)
        return f"started in {took:.0f} s and stopped", version

    def leave(self, token: str) -> None:
        """Remove the user who was made for this, with the volume, or only the token of another one."""
        ask(self.base, f"{self.path}/tokens/{token}" if self.stays else self.path, self.token, "DELETE")

    def server(self) -> Any:
        """The hub's description of the server, None where there is none."""
        user = ask(self.base, self.path, self.token) or {}
        return (user.get("servers") or {}).get("")

    def start(self, deadline: float) -> None:
        try:
            ask(self.base, f"{self.path}/server", self.token, "POST")
        except Unanswered as error:
            raise Unanswered(f"The server of {self.name} has failed to start: {error}") from None
        while True:
            server = self.server()
            if server is None:
                raise Unanswered(f"The server of {self.name} has failed to start{self.reason()}.")
            if server.get("ready"):
                return
            if time.monotonic() > deadline:
                raise Unanswered(f"The server of {self.name} is not ready in time{self.reason()}.")
            time.sleep(LOOK_SECONDS)

    def reason(self) -> str:
        """What the hub's page says about a start that has failed."""
        request = urllib.request.Request(f"{self.base}{self.path}/server/progress")
        request.add_header("Authorization", f"token {self.token}")
        last = ""
        with contextlib.suppress(OSError, ValueError), opener().open(
            request, timeout=REASON_SECONDS
        ) as lines:
            for line in lines:
                if line.startswith(b"data:"):
                    last = json.loads(line[5:]).get("message") or last
        return f": {last}".rstrip(".") if last else ""

    def open(self, own: str) -> str:
        """Open the server with the person's token; its JupyterHub."""
        target, path = routes(self.base, self.token).get((self.name, ""), ("", ""))
        if not target:
            raise Unanswered(f"The proxy has no route to the server of {self.name}.")
        code, version = status(target, path, own)
        if target.startswith("http:") and (code == 0 or code in (401, 403, NOT_RUNNING) or code >= 500):
            named = f"with {code}" if code else "not"
            raise Unanswered(f"The server of {self.name} answers its own user {named}.")
        return version

    def stop(self, deadline: float) -> None:
        ask(self.base, f"{self.path}/server", self.token, "DELETE")
        while self.server() is not None:
            if time.monotonic() > deadline:
                raise Unanswered(f"The server of {self.name} has not stopped in time.")
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
