"""Runs in the hub's pod, in the hub's own Python, handed over as text: asks the running hub.

It imports nothing of this collection. ``argv[1]`` is a request in JSON: ``lender``, the text of the
program that lends a token; ``base_url``; ``user``, whose server is started and stopped, or ''; ``seconds``
for that. The database's URL, which may have a password, is the line on standard input. The answer is one
line of JSON on standard output: ``version``, ``users``, ``server`` (what became of the user's), and
``problems``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

HUB = "http://127.0.0.1:8081"
TOKEN_SECONDS = 1800
#: A hub may take a moment to know a token that was written into its database.
KNOWN_SECONDS = 20
#: A proxy that has just started gets its routes from the hub.
PROXY_SECONDS = 30
ASKING_SECONDS = 30
LOOK_SECONDS = 0.5
PAGE = 200


class Unanswered(Exception):
    """The hub has not answered as it should."""


def main() -> None:
    sys.stdout.write(json.dumps(answer(json.loads(sys.argv[1]))) + "\n")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"version": "", "users": [], "server": "", "problems": []}
    base = f"{HUB}{request['base_url'].rstrip('/')}/hub/api"
    try:
        result["version"] = ask(base, "/")["version"]
        result["problems"] += ask_proxy(request["base_url"])
        user = urllib.parse.quote(request["user"])
        scopes = ["list:users", "read:hub"]
        scopes += [f"{scope}!user={request['user']}" for scope in ("read:users", "servers") if user]
        lender = subprocess.Popen(
            [sys.executable, "-c", request["lender"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if lender.stdin is None or lender.stdout is None:
            raise Unanswered("The program that lends a token has no pipes.")
        wanted = {
            "url": sys.stdin.readline().strip(),
            "seconds": TOKEN_SECONDS,
            "scopes": scopes,
            "starts": False,
        }
        lender.stdin.write(json.dumps(wanted) + "\n")
        lender.stdin.flush()
        line = lender.stdout.readline()
        if not line:
            raise Unanswered("No token could be written into the hub's database.")
        token = json.loads(line)["token"]
        try:
            result["users"] = users(base, token)
            if user:
                result["server"] = try_server(base, token, user, request["seconds"])
        finally:
            lender.stdin.close()
            lender.wait(60)
    except (Unanswered, OSError, ValueError, KeyError) as error:
        result["problems"].append(
            f"{error}" if isinstance(error, Unanswered) else f"{type(error).__name__}: {error}"
        )
    return result


def ask(base: str, path: str, token: str = "", method: str = "GET") -> Any:
    """What the hub answers; None for nothing."""
    request = urllib.request.Request(base + path, method=method)
    if token:
        request.add_header("Authorization", f"token {token}")
    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        try:
            with urllib.request.build_opener().open(request, timeout=ASKING_SECONDS) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code != 403 or time.monotonic() > deadline:
                raise Unanswered(f"The hub answers {method} {path} with {error.code}.") from None
        time.sleep(LOOK_SECONDS)


def ask_proxy(base_url: str) -> list[str]:
    """What is wrong with the way to the hub that browsers take, by the addresses that a pod is given."""
    found = [name for name in os.environ if name.endswith("PROXY_PUBLIC_SERVICE_HOST")]
    if not found:
        return []
    host, port = os.environ[found[0]], os.environ.get(found[0].replace("_HOST", "_PORT"), "80")
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{base_url.rstrip('/')}/hub/api/"
    deadline = time.monotonic() + PROXY_SECONDS
    problem = ""
    while True:
        try:
            with urllib.request.build_opener().open(url, timeout=ASKING_SECONDS):
                return []
        except urllib.error.HTTPError as error:
            # Any other answer, such as a redirection to HTTPS, is the proxy's own.
            if error.code < 500:
                return []
            problem = f"{error.code}"
        except OSError as error:
            # Behind the redirection there is a name that a pod may not know.
            problem = f"{error}"
        if time.monotonic() > deadline:
            return [f"The proxy does not answer at {url}: {problem}."]
        time.sleep(LOOK_SECONDS)


def users(base: str, token: str) -> list[str]:
    """The names of all users, page by page."""
    names: list[str] = []
    while True:
        page = ask(base, f"/users?offset={len(names)}&limit={PAGE}", token)
        names += [user["name"] for user in page if user["name"] not in names]
        if len(page) < PAGE:
            return names


def try_server(base: str, token: str, user: str, seconds: float) -> str:
    """Start and stop a user's server; a running one is left alone."""
    if ask(base, f"/users/{user}", token).get("server"):
        return "runs already, and was left alone"
    deadline = time.monotonic() + seconds
    ask(base, f"/users/{user}/server", token, "POST")
    while not ask(base, f"/users/{user}", token).get("server"):
        if time.monotonic() > deadline:
            raise Unanswered(f"The server of {user} has not started within {seconds:.0f} s.")
        time.sleep(LOOK_SECONDS)
    ask(base, f"/users/{user}/server", token, "DELETE")
    while ask(base, f"/users/{user}", token).get("servers"):
        if time.monotonic() > deadline:
            raise Unanswered(f"The server of {user} has not stopped within {seconds:.0f} s.")
        time.sleep(LOOK_SECONDS)
    return "started and stopped"


if __name__ == "__main__":
    main()
