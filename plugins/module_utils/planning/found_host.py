"""FoundHost: another host of single-user servers, as far as a plan has to know it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..environments.facts import EnvironmentFacts


@dataclass(frozen=True)
class FoundHost:
    """A host of the inventory group ``jupyterhub_singleuser``, as ``jupyterhub_singleuser`` returns it.

    ``problem`` says why nothing is known of it. What else there is has the meaning of `upgrade.Host`.
    """

    name: str
    problem: str = ""
    without_hub: bool = False
    """Whether the problem is that nothing says which hub its servers are of."""
    environments: tuple[EnvironmentFacts, ...] = ()
    user: str = ""
    installed: dict[str, dict[str, str]] = field(default_factory=dict)
    free_bytes: dict[str, int] = field(default_factory=dict)
    environment_bytes: dict[str, int] = field(default_factory=dict)
    not_writable: tuple[str, ...] = ()
    python_versions: dict[str, str] = field(default_factory=dict)
    links: dict[str, list[list[str]]] = field(default_factory=dict)
    mounts: dict[str, list[str]] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    """Environments on network file systems, and of which kind those are."""
