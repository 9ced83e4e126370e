"""Deployment: what runs on a host, found and not asked for.

Each part is described by the package of its noun; `Deployment` only composes them. Values of environment
variables, passwords and tokens are in none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..databases.facts import DatabaseFacts
from ..environments.facts import EnvironmentFacts
from ..hub.facts import HubService, ProxyFacts
from ..services.facts import ServiceFacts


@dataclass(frozen=True)
class Role:
    """A role of ``JupyterHub.load_roles``."""

    name: str
    scopes: list[str]
    services: list[str]


@dataclass(frozen=True)
class ConfigFacts:
    """What the hub's config means, as the hub itself reads it."""

    file: str | None
    files: list[str]
    """The file and everything that it includes."""
    base_url: str
    bind_url: str
    hub_api_url: str
    """Of the hub itself, not through the proxy: ``http://127.0.0.1:8081/hub/api``."""
    public_url: str
    """Through the proxy, over loopback where it is bound to all addresses."""
    services: list[HubService]
    roles: list[Role]
    options: dict[str, list[str]]
    """Names of the options that it sets, by class; their values may be secrets."""
    template_folders: list[str]
    written: dict[str, str]
    """What the hub writes besides its database and its cookie secret: the path, by its setting."""
    cleanup_servers: bool
    oauth_require_pkce: bool
    tls: bool
    internal_ssl: bool
    certificate_problem: str | None
    """Why the proxy that the hub starts could not serve with its certificate and key."""
    shadowed: dict[str, str]
    """Related packages that come from PYTHONPATH or ``~/.local``, and their files."""
    warnings: list[str]
    """What the hub's own loader of the config printed at WARNING or above."""


@dataclass(frozen=True)
class CookieSecretFile:
    """The file of the secret that signs cookies, whether or not it is the one that counts."""

    path: str
    exists: bool
    mode: str | None
    """Its permissions, ``0600``."""


@dataclass(frozen=True)
class SecretsFacts:
    """Where the hub's secrets come from, never what they are."""

    cookie_secret_file: CookieSecretFile
    cookie_secret_source: str
    """``file``, ``config`` or ``environment``."""
    proxy_auth_token_source: str
    """``config``, ``environment`` or ``generated``."""
    crypt_key_source: str
    """``environment``, ``config`` or ``none``."""
    files: list[str]
    """Files that hold secrets and belong in a recovery point."""


@dataclass(frozen=True)
class ServerImages:
    """What the containers of single-user servers are made from, on the engine of this host."""

    image: str
    """Unless a user chooses another one."""
    tag_follows_hub: bool
    """Whether it is the spawner's own default, whose tag is the hub's version."""
    choices: list[str]
    """Others that users or profiles may choose."""
    any_image: bool
    """Whether a user may name any image."""
    computed: bool
    """Whether functions of the config or of a class of its own choose."""
    removes: bool
    """Whether a container goes when its server stops; else it is started again, with the image it has."""
    name_begins: str
    """How the names of the containers begin, of all users."""
    pull_policy: str
    """``always``, ``ifnotpresent``, ``never`` or ``skip``."""


@dataclass(frozen=True)
class SpawnerFacts:
    """What starts single-user servers."""

    class_name: str
    package: str | None
    version: str | None
    command: list[str]
    """Of single-user servers; a bare name that the spawner's own PATH has is a path."""
    local: bool
    """Whether servers are processes of the hub's service, as LocalProcessSpawner's are."""
    further_commands: list[list[str]] = field(default_factory=list)
    """Other commands, of the profiles that wrapspawner offers."""
    elsewhere: list[str] = field(default_factory=list)
    """Names of classes whose servers are not known to be processes of this host, as batchspawner's."""
    images: ServerImages | None = None
    """Of servers that are containers of this host; None where none is."""

    @property
    def commands(self) -> list[list[str]]:
        """The command of each profile that has one of its own."""
        return [self.command, *self.further_commands]


@dataclass(frozen=True)
class AuthenticatorFacts:
    """What lets people in."""

    class_name: str
    package: str | None
    version: str | None
    bases: list[str]
    allow_rules: list[str]
    """Names of the options that allow users."""
    admins: bool
    decides_itself: bool
    auth_state: bool


@dataclass(frozen=True)
class Deployment:
    """One hub with all that belongs to it."""

    name: str
    """The service's, without its manager's suffix or group."""
    service: ServiceFacts
    config: ConfigFacts
    database: DatabaseFacts
    secrets: SecretsFacts
    proxy: ProxyFacts
    spawner: SpawnerFacts
    authenticator: AuthenticatorFacts
    hub_environment: EnvironmentFacts
    user_environments: list[EnvironmentFacts] = field(default_factory=list)
    """Those of single-user servers, without the hub's own."""

    @property
    def jupyterhub(self) -> str:
        """The version that the hub's environment has."""
        return self.hub_environment.jupyterhub or ""

    @property
    def environments(self) -> list[EnvironmentFacts]:
        """The hub's, and then those of single-user servers."""
        return [self.hub_environment, *self.user_environments]


def of_format_1(found: dict[str, Any]) -> dict[str, Any]:
    """A deployment as hosts have kept it before its parts had types, in today's shape."""
    service = found["service"]
    particulars = {
        "config": service.get("supervisor_config"),
        "url": service.get("supervisor_url"),
        "kill_mode": service["kill_mode"],
        "restart": service["restart"],
    }
    return {
        **found,
        "service": {
            **service,
            "unit_file": service["unit_file"] or "",
            "particulars": {name: value for name, value in particulars.items() if value is not None},
        },
        "config": {
            **found["config"],
            "written": {},
            "internal_ssl": False,
            "certificate_problem": None,
        },
        **{
            part: {**found[part], "class_name": found[part]["class"]}
            for part in ("proxy", "spawner", "authenticator")
        },
    }
