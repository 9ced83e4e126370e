"""What is known of a hub's proxy and its services."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProxyProgram:
    """The program that a hub starts as its proxy."""

    path: str | None = None
    """None where the service's PATH does not lead to it."""
    kind: str | None = None
    """``node``, ``python`` or ``other``."""
    version: str | None = None
    node: str | None = None
    """The Node that runs it."""
    node_version: str | None = None
    engine: str | None = None
    """What its package asks of Node, ``>=18``."""


@dataclass(frozen=True)
class ProxyFacts:
    """The proxy in front of the hub."""

    class_name: str
    package: str | None
    version: str | None
    managed: bool
    """Whether the hub starts it."""
    api_url: str
    command: list[str]
    program: ProxyProgram | None = None
    """None where the hub starts none."""
    answers: bool = True
    """Whether one that the hub does not start led to it from the public address when it was found."""


@dataclass(frozen=True)
class HubService:
    """A service of ``JupyterHub.services``, without its command, which may hold secrets."""

    name: str
    url: str | None
    managed: bool
    """Whether the hub starts it."""
    admin: bool
    token: bool
    """Whether it has an API token."""
    culls: bool
    oauth: bool
    oauth_redirect: bool
    running: bool = False
    """Whether it ran when the hub was looked at."""
