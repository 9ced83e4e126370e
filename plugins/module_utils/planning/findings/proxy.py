"""The proxy that the hub starts: whether the service finds one, and whether that can run."""

from __future__ import annotations

from typing import Iterator

from ...hub.facts import ProxyProgram
from ...releases.requirements import seems_to_satisfy
from ...services.facts import ServiceFacts
from ..upgrade import Upgrade
from .finding import BLOCKER, Finding, Kind

PROXY_NOT_FOUND = Kind(
    "proxy-not-found",
    BLOCKER,
    "The service's PATH does not lead to the proxy that the hub starts.",
    "The hub exits at its start: `Failed to find proxy`.",
    "Install it (npm install -g configurable-http-proxy), or name its path in ConfigurableHTTPProxy.command.",
)
NODE_NOT_FOUND = Kind(
    "node-not-found",
    BLOCKER,
    "The proxy is a program for Node.js, and the service's PATH leads to none that runs.",
    "The proxy does not start, and the hub exits.",
    "Install Node.js, or add its folder to the service's PATH.",
)
NODE_TOO_OLD = Kind(
    "node-too-old",
    BLOCKER,
    "Node.js is older than the proxy requires.",
    "Such a proxy may not start, or fail at a request that it cannot handle; the hub then restarts it.",
    "Install a newer Node.js, or a proxy for this one: 5.0 and 5.1 need Node 18, 5.2 and later Node 20.",
    accept=True,
)
PROXY_WITHOUT_TLS = Kind(
    "proxy-without-tls",
    BLOCKER,
    "The proxy is the one in pure Python, and the config asks for TLS.",
    "That proxy has no TLS.",
    "Install the proxy for Node.js, or end TLS in a web server before the hub.",
    accept=True,
)
CERTIFICATE_NOT_USABLE = Kind(
    "certificate-not-usable",
    BLOCKER,
    "The proxy cannot read its certificate or key, or they do not match.",
    "A running proxy has read the earlier files. No proxy starts with these, for the new hub or the old one.",
    "Correct the files that ssl_cert and ssl_key name, and restart the hub to check that it starts.",
)
KINDS = (PROXY_NOT_FOUND, NODE_NOT_FOUND, NODE_TOO_OLD, PROXY_WITHOUT_TLS, CERTIFICATE_NOT_USABLE)

#: What configurable-http-proxy asks of Node ("engines" of its package.json), newest first.
_ENGINES = ((">=5.2", ">=20"), (">=5.0", ">=18"), (">=4.6.3", ">=10"), (">=4.5", ">=12"))


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What prevents the proxy from starting."""
    proxy, service = upgrade.deployment.proxy, upgrade.deployment.service
    program, problem = proxy.program, upgrade.deployment.config.certificate_problem
    if problem:
        yield CERTIFICATE_NOT_USABLE.found(f"The proxy cannot serve with its certificate: {problem}.")
    if program is None:
        return
    if program.path is None:
        yield PROXY_NOT_FOUND.found(
            f"{proxy.command[0]} is not on the PATH of {service.name}, {service.path}."
        )
    elif program.kind == "node":
        yield from _node(program, service)
    elif program.kind == "python" and upgrade.deployment.config.tls:
        yield PROXY_WITHOUT_TLS.found(f"{program.path} is a Python program, and the config has TLS.")


def _node(program: ProxyProgram, service: ServiceFacts) -> Iterator[Finding]:
    proxy = f"configurable-http-proxy {program.version} ({program.path})"
    if program.node_version is None:
        where = f"{program.node} does not run" if program.node else "it is not there"
        yield NODE_NOT_FOUND.found(
            f"{proxy} needs Node.js on the PATH of {service.name}, {service.path}: {where}."
        )
        return
    engine = program.engine or _engine(str(program.version or ""))
    if engine and not _satisfies(program.node_version, engine):
        yield NODE_TOO_OLD.found(
            f"{proxy} asks for Node.js {engine}, and {program.node} is {program.node_version}."
        )


def _engine(version: str) -> str:
    """What a release that does not declare it requires; '' where that is not known."""
    if not version:
        return ""
    return next((engine for proxies, engine in _ENGINES if _satisfies(version, proxies)), "")


def _satisfies(version: str, specifiers: str) -> bool:
    """Whether a version satisfies npm's specifiers, as far as they are the ones of Python, else True."""
    return any(seems_to_satisfy(version, part, unclear=True) for part in specifiers.split("||"))
