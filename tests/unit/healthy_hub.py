"""A healthy hub as plan and findings see it, and ways to spoil it."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.upgrade import Host, Target

GIBIBYTE = 1024**3
HUB = "/opt/jupyterhub"
USERS = "/opt/user-env"
DEPLOYMENT: dict[str, Any] = {
    "name": "jupyterhub",
    "service": {"manager": "systemd", "name": "jupyterhub.service", "state": "running"},
    "database": {
        "kind": "sqlite",
        "url": "sqlite:///jupyterhub.sqlite",
        "path": "/srv/jupyterhub/jupyterhub.sqlite",
        "exists": True,
        "bytes": 1_000_000,
        "revision": "0eee8c825d24",
    },
    "proxy": {"class": "jupyterhub.proxy.ConfigurableHTTPProxy", "package": "jupyterhub"},
    "spawner": {
        "class": "jupyterhub.spawner.LocalProcessSpawner",
        "package": "jupyterhub",
        "command": [f"{USERS}/bin/jupyterhub-singleuser"],
    },
    "authenticator": {"class": "oauthenticator.github.GitHubOAuthenticator", "package": "oauthenticator"},
    "hub_environment": {
        "path": HUB,
        "kind": "venv",
        "python": f"{HUB}/bin/python",
        "python_version": "3.11.2",
        "jupyterhub": "4.1.6",
        "packages": {"jupyterhub": "4.1.6"},
    },
    "user_environments": [
        {
            "path": USERS,
            "kind": "venv",
            "python": f"{USERS}/bin/python",
            "python_version": "3.11.2",
            "jupyterhub": "4.1.6",
            "packages": {"jupyterhub": "4.1.6", "jupyterlab": "4.2.0"},
        }
    ],
}
TARGET = Target("6.1.1", ">=3.10", "f460b0348206")


def deployment(**changes: Any) -> dict[str, Any]:
    """A healthy hub 4.1.6, but for ``changes``: ``noun__key=value``, of lists in their first entry."""
    changed = copy.deepcopy(DEPLOYMENT)
    for name, value in changes.items():
        noun, _separator, key = name.partition("__")
        if key:
            part = changed[noun]
            (part[0] if isinstance(part, list) else part)[key] = value
        else:
            changed[noun] = value
    return changed


def host(**changes: Any) -> Host:
    facts: dict[str, Any] = {
        "root": True,
        "user": "root",
        "state_folder": "/var/lib/hubops/jupyterhub",
        "free_bytes": {"/opt": 20 * GIBIBYTE, "/var/lib/hubops/jupyterhub": 20 * GIBIBYTE},
        "environment_bytes": {HUB: GIBIBYTE, USERS: GIBIBYTE},
    }
    return Host(**{**facts, **changes})


def upgraded() -> dict[str, Any]:
    changed = deployment(database__revision="f460b0348206", hub_environment__jupyterhub="6.1.1")
    changed["hub_environment"]["packages"]["jupyterhub"] = "6.1.1"
    changed["user_environments"][0]["jupyterhub"] = "6.1.1"
    changed["user_environments"][0]["packages"]["jupyterhub"] = "6.1.1"
    return changed
