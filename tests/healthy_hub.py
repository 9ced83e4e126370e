"""A healthy hub as plan and findings see it, and ways to spoil it."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Host, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict

GIBIBYTE = 1024**3
HUB = "/opt/jupyterhub"
USERS = "/opt/user-env"
DEPLOYMENT: dict[str, Any] = {
    "name": "jupyterhub",
    "service": {
        "manager": "systemd",
        "name": "jupyterhub.service",
        "state": "running",
        "path": "/opt/jupyterhub/bin:/usr/bin:/bin",
        "working_directory": "/srv/jupyterhub",
        "main_pid": 812,
        "user": "root",
        "group": "root",
        "home": "/root",
        "command": [f"{HUB}/bin/jupyterhub", "-f", "/etc/jupyterhub/jupyterhub_config.py"],
        "environment_names": ["PATH"],
        "environment_files": [],
        "enabled": True,
        "unit_file": "/etc/systemd/system/jupyterhub.service",
        "needs_root": True,
        "particulars": {"kill_mode": "control-group"},
    },
    "config": {
        "file": "/etc/jupyterhub/jupyterhub_config.py",
        "files": ["/etc/jupyterhub/jupyterhub_config.py"],
        "base_url": "/",
        "bind_url": "http://:8000",
        "hub_api_url": "http://127.0.0.1:8081/hub/api",
        "public_url": "http://127.0.0.1:8000/",
        "services": [],
        "roles": [],
        "options": {"JupyterHub": ["bind_url", "db_url"]},
        "template_folders": [],
        "written": {},
        "cleanup_servers": True,
        "oauth_require_pkce": False,
        "tls": False,
        "internal_ssl": False,
        "certificate_problem": None,
        "shadowed": {},
        "warnings": [],
    },
    "database": {
        "kind": "sqlite",
        "url": "sqlite:///jupyterhub.sqlite",
        "path": "/srv/jupyterhub/jupyterhub.sqlite",
        "exists": True,
        "bytes": 1_000_000,
        "revision": "0eee8c825d24",
        "journal_mode": "delete",
        "rows": {"users": 200, "api_tokens": 50},
        "file_system": "ext4",
        "writable": {"/srv/jupyterhub/jupyterhub.sqlite": True, "/srv/jupyterhub": True},
        "damage": None,
        "broken_references": {},
        "revisions": 1,
        "ahead": [],
        "servers": 0,
        "server_names": [],
        "encrypted": 0,
        "problem": None,
    },
    "secrets": {
        "cookie_secret_file": {
            "path": "/srv/jupyterhub/jupyterhub_cookie_secret",
            "exists": True,
            "mode": "0600",
        },
        "cookie_secret_source": "file",
        "proxy_auth_token_source": "generated",
        "crypt_key_source": "none",
        "files": [],
    },
    "proxy": {
        "class_name": "jupyterhub.proxy.ConfigurableHTTPProxy",
        "package": "jupyterhub",
        "version": "4.1.6",
        "managed": True,
        "api_url": "http://127.0.0.1:8001",
        "command": ["configurable-http-proxy"],
        "program": {
            "path": "/usr/bin/configurable-http-proxy",
            "kind": "node",
            "version": "5.1.0",
            "node": "/usr/bin/node",
            "node_version": "18.20.4",
            "engine": ">=18",
        },
    },
    "spawner": {
        "class_name": "jupyterhub.spawner.LocalProcessSpawner",
        "package": "jupyterhub",
        "version": "4.1.6",
        "command": [f"{USERS}/bin/jupyterhub-singleuser"],
        "local": True,
    },
    "authenticator": {
        "class_name": "oauthenticator.github.GitHubOAuthenticator",
        "package": "oauthenticator",
        "version": "16.2.1",
        "bases": ["oauthenticator.github.GitHubOAuthenticator", "jupyterhub.auth.Authenticator"],
        "allow_rules": ["allowed_organizations"],
        "admins": True,
        "decides_itself": True,
        "auth_state": False,
    },
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
TARGET = Target(
    "6.1.1", ">=3.10", "f460b0348206", ["4dc2d5a8c53c", "0eee8c825d24", "4621fec11365", "f460b0348206"]
)


def deployment(**changes: Any) -> Deployment:
    """A healthy hub 4.1.6, but for ``changes``: ``noun__key=value``, of lists in their first entry."""
    return from_dict(Deployment, described(**changes))


def described(**changes: Any) -> dict[str, Any]:
    """The same, as modules hand it on."""
    changed = copy.deepcopy(DEPLOYMENT)
    for name, value in changes.items():
        noun, _separator, key = name.partition("__")
        if key:
            part = changed[noun]
            (part[0] if isinstance(part, list) else part)[key] = value
        else:
            changed[noun] = value
    return changed


def at(folder: Path, environment: Path, **changes: Any) -> Deployment:
    """A hub of that name whose config, database and environment lie below a folder, as far as they exist."""
    return deployment(
        **{
            "name": "hub",
            "service__manager": "supervisord",
            "service__name": "hub",
            "service__unit_file": "",
            "config__files": [str(folder / "jupyterhub_config.py")],
            "secrets__files": [],
            "database__path": str(folder / "hub.sqlite"),
            "hub_environment": asdict(read_environment(environment)),
            "user_environments": [],
            **changes,
        }
    )


def database_file(deployment: Deployment) -> Path:
    """The SQLite file of a deployment that has one."""
    assert deployment.database.path
    return Path(deployment.database.path)


def host(**changes: Any) -> Host:
    facts: dict[str, Any] = {
        "root": True,
        "user": "root",
        "state_folder": "/var/lib/hubops/jupyterhub",
        "free_bytes": {"/opt": 20 * GIBIBYTE, "/var/lib/hubops/jupyterhub": 20 * GIBIBYTE},
        "environment_bytes": {HUB: GIBIBYTE, USERS: GIBIBYTE},
    }
    return Host(**{**facts, **changes})


def upgraded() -> Deployment:
    changed = described(database__revision="f460b0348206", hub_environment__jupyterhub="6.1.1")
    changed["hub_environment"]["packages"]["jupyterhub"] = "6.1.1"
    changed["user_environments"][0]["jupyterhub"] = "6.1.1"
    changed["user_environments"][0]["packages"]["jupyterhub"] = "6.1.1"
    return from_dict(Deployment, changed)
