"""What the hub of a rehearsal is asked, and what its answers mean."""

from __future__ import annotations

import urllib.parse

from ..errors import HubError
from ..hub import single_user_servers
from ..hub.api import ask
from .rehearsed_hub import RehearsedHub

PAGINATED = "application/jupyterhub-pagination+json"
#: Users that are read whole, one page of them.
PAGE = 100

#: What the rehearsal's service may do, on its copy.
SCOPES = [
    *("read:hub", "proxy", "list:users", "list:groups", "list:services", "admin:users", "admin:auth_state"),
    *("tokens", "servers", "access:servers", "access:services"),
]


def interpreter(hub: RehearsedHub) -> str:
    """The Python that the hub says it runs in. Raises HubError where it does not say."""
    answer = ask(f"{hub.api_url}/info", hub.token)
    if answer.status != 200:
        raise HubError(f"The new hub answers GET /hub/api/info with {answer}.")
    return str(answer.body["sys_executable"])


def users(hub: RehearsedHub) -> int:
    """Read a page of users, groups and services; the number of users that the hub knows, without ours.

    Raises HubError where it does not answer as it should.
    """
    for what in ("users", "groups", "services"):
        answer = ask(f"{hub.api_url}/{what}?limit={PAGE}", hub.token, accept=PAGINATED)
        if answer.status != 200:
            raise HubError(f"The new hub answers GET /hub/api/{what} with {answer}.")
        if what == "users":
            # Hubs before 2.0 have no pages.
            listed = answer.body
            total = int(listed["_pagination"]["total"]) if isinstance(listed, dict) else len(listed)
    return total - 1


def log_in(hub: RehearsedHub) -> str:
    """Let our user in by a token of its own, through the proxy; the token.

    Raises HubError when the hub does not make one, does not know the user by it, or has no page for people
    who come without one.
    """
    made = ask(f"{hub.api_url}/users/{hub.name}/tokens", hub.token, "POST", {"note": "rehearsal"})
    if made.status not in (200, 201):
        raise HubError(f"The new hub answers POST /hub/api/users/{hub.name}/tokens with {made}.")
    token = str(made.body["token"])
    known = ask(f"{hub.url}hub/api/user", token)
    if known.status != 200 or known.body.get("name") != hub.name:
        raise HubError(f"The new hub does not know a user by the token it has made: it answers {known}.")
    page = ask(f"{hub.url}hub/login")
    if page.status >= 500 or page.status == 0:
        raise HubError(f"The new hub answers GET /hub/login with {page}.")
    return token


def refuses_post(hub: RehearsedHub, path: str) -> bool:
    """Whether the hub takes a POST to a path of the authenticator's for one that another site has forged.

    A path whose own page has a form with the hub's token is not asked from elsewhere.
    """
    url = f"{hub.url}hub{path}"
    posted = ask(url, method="POST")
    if posted.status != 403 or "xsrf" not in str(posted.body).lower():
        return False
    page = ask(url)
    return page.status != 200 or "_xsrf" not in str(page.body)


def failure_of_page(hub: RehearsedHub, path: str) -> int:
    """The status with which the hub fails at a page of the authenticator's, without a log-in; 0 where not."""
    status = ask(f"{hub.url}hub{path}").status
    return status if status >= 500 else 0


def start_server(hub: RehearsedHub, token: str, timeout: float) -> str:
    """Start our user's server and reach it as its user; the version of JupyterHub that it names.

    Raises HubError when it does not come up within ``timeout`` seconds, or cannot be reached.
    """
    single_user_servers.start(hub.api_url, hub.token, hub.name, timeout)
    return _reach_server(hub, token)


def _reach_server(hub: RehearsedHub, token: str) -> str:
    url = f"{hub.url}user/{hub.name}/api/status"
    if not hub.has_proxy:
        routes = ask(f"{hub.api_url}/proxy", hub.token).body
        target = next(route["target"] for spec, route in routes.items() if f"/user/{hub.name}/" in spec)
        url = f"{target.split('/user/')[0]}{url[url.index('/', len('http://')) :]}"
    answer = ask(url, token)
    if answer.status != 200:
        raise HubError(f"The server runs, but answers GET /user/{hub.name}/api/status with {answer}.")
    return answer.headers.get("x-jupyterhub-version", "")


def stop_server(hub: RehearsedHub, timeout: float) -> None:
    """Stop our user's server. Raises HubError when it does not stop within ``timeout`` seconds."""
    single_user_servers.stop(hub.api_url, hub.token, hub.name, timeout)


def unreadable_auth_states(hub: RehearsedHub, names: list[str]) -> list[str]:
    """Which of these users' auth state the hub cannot decrypt; it says so by leaving it out.

    Raises HubError where the hub does not answer.
    """
    unreadable = []
    for name in names:
        answer = ask(f"{hub.api_url}/users/{urllib.parse.quote(name)}", hub.token)
        if answer.status != 200:
            raise HubError(f"The new hub answers GET /hub/api/users/{name} with {answer}.")
        if answer.body.get("auth_state") is None:
            unreadable.append(name)
    return unreadable
