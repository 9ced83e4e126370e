"""What a person does on a hub: sees the log-in page, starts a server, computes, stops the server."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Collection

from ..errors import HubError
from ..hub import api, kernels, single_user_servers
from .model import Deployment

#: The checks that a site may leave out, by their names.
LOG_IN, SERVER, KERNEL = CHECKS = ("login", "server", "kernel")
PASSED = "passed"
NOT_WANTED = "left out: not asked for"
NO_PROXY = "left out: the proxy is not reached from this host"
NO_USER = "left out: no user is named in jupyterhub_verify_user"


def see_log_in(deployment: Deployment, checks: Collection[str]) -> dict[str, str]:
    """The log-in page through the proxy; how the check ended. Raises HubError where it fails."""
    if LOG_IN not in checks:
        return {LOG_IN: NOT_WANTED}
    if not deployment.proxy.answers:
        return {LOG_IN: NO_PROXY}
    wrong = broken_log_in(deployment)
    if wrong:
        raise HubError(wrong)
    return {LOG_IN: PASSED}


def broken_log_in(deployment: Deployment) -> str:
    """What is wrong with the log-in page, '' where nothing is.

    An authenticator may lead elsewhere, or forbid: that is its answer.
    """
    url = f"{deployment.config.public_url.rstrip('/')}/hub/login"
    answer = api.ask(url)
    wrong = answer.status == 0 or answer.status >= 500
    return f"The log-in page {url} is answered with {answer}." if wrong else ""


def work(
    deployment: Deployment, token: str, user: str, version: str, timeout: float, checks: Collection[str]
) -> dict[str, str]:
    """Start ``user``'s server, compute there, and stop it; how each check ended.

    A server that runs is left alone, and proof enough that it starts. ``token`` may have the user's server
    and reach it; ``timeout`` in seconds is that of each step. Raises HubError where a check fails.
    """
    if not user:
        return {SERVER: NO_USER, KERNEL: NO_USER}
    api_url = str(deployment.config.hub_api_url)
    state, server = single_user_servers.look(api_url, token, user)
    if state.status == 404:
        raise HubError(
            f"The hub knows no user {user}, whose server was to be started.",
            "Name one of its users in jupyterhub_verify_user.",
        )
    if server.get("ready"):
        return {SERVER: f"{PASSED}: it runs", KERNEL: "left out: the server runs, and is left alone"}
    if SERVER not in checks:
        return {SERVER: NOT_WANTED, KERNEL: f"left out: the server of {user} does not run"}
    try:
        single_user_servers.start(api_url, token, user, timeout)
        try:
            computed = _compute(deployment, token, user, version, timeout, checks)
        except HubError:
            with contextlib.suppress(HubError):
                single_user_servers.stop(api_url, token, user, timeout)
            raise
        single_user_servers.stop(api_url, token, user, timeout)
    except HubError as error:
        raise HubError(f"The server of {user} was to be started and stopped. {error.message}") from error
    return {SERVER: PASSED, **computed}


def _compute(
    deployment: Deployment, token: str, user: str, version: str, timeout: float, checks: Collection[str]
) -> dict[str, str]:
    """Compute in a kernel of the user's server, through the proxy and over a websocket."""
    reason = _why_not(deployment, version, checks)
    if reason:
        return {KERNEL: reason}
    server_url = f"{deployment.config.public_url.rstrip('/')}/user/{urllib.parse.quote(user)}"
    reached = api.ask(f"{server_url}/api/status", token)
    if not reached.status or reached.status >= 500:
        raise HubError(f"The server of {user} runs, but {server_url}/api/status answers {reached}.")
    offered = kernels.names(server_url, token)
    if offered == [] and _has_kernels(deployment):
        raise HubError(
            f"The server of {user} has no kernel, though all single-user environments have ipykernel."
        )
    if not offered:
        return {KERNEL: "left out: the server has no kernels"}
    answer = kernels.compute(server_url, token, timeout)
    if kernels.ANSWER not in answer:
        raise HubError(f"A kernel of {user} computes {kernels.QUESTION} as {answer}.")
    found = reached.headers.get("x-jupyterhub-version", "")
    return {KERNEL: f"{PASSED}: {kernels.QUESTION} is {answer}" + (f", single-user {found}" if found else "")}


def _why_not(deployment: Deployment, version: str, checks: Collection[str]) -> str:
    """Why no kernel is asked, '' where one is."""
    if KERNEL not in checks:
        return NOT_WANTED
    if not deployment.proxy.answers:
        return NO_PROXY
    if "subdomain_host" in deployment.config.options.get("JupyterHub", []):
        return "left out: servers have addresses of their own (subdomain_host)"
    if version.startswith("1."):
        return "left out: before JupyterHub 2.0 no token may reach one server alone"
    return ""


def _has_kernels(deployment: Deployment) -> bool:
    found = deployment.user_environments or [deployment.hub_environment]
    return all("ipykernel" in environment.packages for environment in found)
