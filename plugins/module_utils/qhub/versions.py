"""Versions of QHub: which cannot be reached by `qhub deploy` over the old site, and why."""

from __future__ import annotations

from dataclasses import dataclass

from ..releases.versions import parse_release


@dataclass(frozen=True)
class Redeployed:
    """A version that needs a new cluster, to which users and data are taken."""

    version: str
    why: str
    provider: str = ""
    """The only one that is concerned, as in the config; empty for all of them."""


#: "Known versions that require re-deployment" of QHub's guide "Upgrade - Redeployment for Breaking Changes".
REDEPLOYED = (
    Redeployed("0.3.11", "its Kubernetes config map cannot be changed in place", provider="aws"),
    Redeployed("0.4", "Keycloak takes the place of the users in the config, and the cluster is another one"),
)
#: The first that has `qhub upgrade`. It knows steps for older configs, but 0.3.14 has no such command.
FIRST_WITH_UPGRADE = "0.4.0"
#: Shared folders were within ``home`` before it, and users had numbers of their own.
FIRST_WITH_KEYCLOAK = "0.4"
#: `qhub upgrade` to this version or later does not add them, and `qhub deploy` ends with a KeyError without
#: them, when half of the new site is there. They are added switched off: the old site had none of them.
SECTIONS_LEFT_OUT = ("argo_workflows", "kbatch", "monitoring")
FIRST_WITH_SECTIONS = "0.4.5"


def gets_keycloak(old: str, new: str) -> bool:
    """Whether users and their authentication move from the config into Keycloak on the way."""
    return parse_release(old) < parse_release(FIRST_WITH_KEYCLOAK) <= parse_release(new)


def redeployments(old: str, new: str, provider: str) -> tuple[Redeployed, ...]:
    """The versions after ``old``, up to ``new``, that need a redeployment with ``provider``."""
    return tuple(
        each
        for each in REDEPLOYED
        if parse_release(old) < parse_release(each.version) <= parse_release(new)
        and each.provider in ("", provider)
    )
