"""The hub's config: loaded as the hub itself loads it, and what it means."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..environments.facts import EnvironmentFacts
from ..environments.layout import prefix_of, python_of
from ..errors import HubError
from ..hub import managed_services
from ..hub.facts import HubService, ProxyFacts
from ..hub_scripts import config_probe
from ..services.command_line import HubCommand, with_config_file
from ..services.facts import ServiceFacts
from ..shapes import from_dict
from ..system.execution_context import ExecutionContext
from ..system.source import source_of
from .model import AuthenticatorFacts, ConfigFacts, CookieSecretFile, Role, SecretsFacts, SpawnerFacts

CONFIG_SECONDS = 60
EVERYWHERE = ("", "*", "0.0.0.0", "::")


@dataclass(frozen=True)
class LoadedConfig:
    """The output of config_probe.py for a config that one environment's hub has loaded."""

    jupyterhub: str
    config_file: str | None
    files: list[str]
    warnings: list[str]
    db_url: str
    db_connect_args: dict[str, Any]
    base_url: str
    hub_prefix: str
    bind_url: str
    hub_bind_url: str
    internal_ssl: bool
    certificate_problem: str | None
    ssl_files: list[str]
    options: dict[str, list[str]]
    services: list[HubService]
    roles: list[Role]
    template_folders: list[str]
    written: dict[str, str]
    cleanup_servers: bool
    oauth_require_pkce: bool
    shadowed: dict[str, str]
    cookie_secret_file: str
    cookie_secret_in_config: bool
    crypt_key_in_config: bool
    proxy: ProxyFacts
    proxy_token_in_config: bool
    spawner: SpawnerFacts
    authenticator: AuthenticatorFacts

    def on_host(self, context: ExecutionContext) -> LoadedConfig:
        """The same with the host's paths of what is looked at there; secrets are as they were."""
        return replace(
            self,
            config_file=self.config_file and context.on_host(self.config_file),
            files=[context.on_host(path) for path in self.files],
            template_folders=[context.on_host(path) for path in self.template_folders],
            written={setting: context.on_host(path) for setting, path in self.written.items()},
        )


def load_config(
    hub: EnvironmentFacts, command: HubCommand | None, context: ExecutionContext, config_file: str | None
) -> LoadedConfig:
    """The output of config_probe.py for the hub's config, loaded by the hub's own Python in its context.

    Raises HubError when the config does not load, with the error's last line and its place.
    """
    python = python_of(Path(hub.path))
    if python is None:
        raise HubError(
            f"The Python of {hub.path} is gone: {hub.path}/bin/python cannot be executed.",
            "An upgrade of the operating system does that to a venv; rebuild the environment.",
        )
    arguments = command.arguments if command else []
    if config_file:
        arguments = with_config_file(arguments, context.inside(config_file))
    script = command.program if command and not command.is_python else None
    if command is None or (script and not os.path.isabs(script)):
        script = f"{prefix_of(Path(hub.path))}/bin/jupyterhub"
    done = context.run(
        [python, "-B", "-c", source_of(config_probe)],
        input=json.dumps({"script": script, "arguments": arguments}),
        timeout=CONFIG_SECONDS,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise HubError(
            f"The Python of {hub.path} could not load the hub's config: {last}",
            f"Repair the environment: `{hub.path}/bin/python -m jupyterhub --version` shows it.",
        ) from None
    if "error" in answer:
        error = answer["error"]
        lines = done.stderr.strip().splitlines()
        # A hub that exits logs the reason before.
        message = lines[-1] if error["message"].startswith("SystemExit") and lines else error["message"]
        place = f" ({error['place']})" if error["place"] else ""
        raise HubError(
            f"The hub's config does not load: {message}{place}.",
            "Fix what the error names. What a script of the service sets is known while its hub runs.",
        )
    return from_dict(LoadedConfig, answer).on_host(context)


def describe_config(config: LoadedConfig, context: ExecutionContext, main_pid: int | None) -> ConfigFacts:
    """What a config means for the hub that is the process ``main_pid`` in this context."""
    running = managed_services.running(main_pid)
    public = urlsplit(config.bind_url)
    scheme = "https" if config.ssl_files else public.scheme
    api = urlsplit(config.hub_bind_url)
    return ConfigFacts(
        file=config.config_file,
        files=config.files,
        base_url=config.base_url,
        bind_url=config.bind_url,
        hub_api_url=_url(api.scheme, _reachable(api.netloc, context), f"{config.hub_prefix}api"),
        public_url=_url(scheme, _reachable(public.netloc, context), config.base_url),
        services=[
            replace(service, running=service.managed and service.name in running)
            for service in config.services
        ],
        roles=config.roles,
        options=config.options,
        template_folders=config.template_folders,
        written=config.written,
        cleanup_servers=config.cleanup_servers,
        oauth_require_pkce=config.oauth_require_pkce,
        tls=bool(config.ssl_files) or config.internal_ssl,
        internal_ssl=config.internal_ssl,
        certificate_problem=config.certificate_problem,
        shadowed=config.shadowed,
        warnings=config.warnings,
    )


def _url(scheme: str, netloc: str, path: str) -> str:
    return urlunsplit((scheme, netloc, path, "", ""))


def _reachable(netloc: str, context: ExecutionContext) -> str:
    """An address to call where a server is bound to: loopback, where it is bound to all."""
    host, colon, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    if not colon and port:
        host, port = netloc, ""
    address = "127.0.0.1" if host.strip("[]") in EVERYWHERE else host
    return f"{context.address(address)}{colon}{port}"


def describe_secrets(config: LoadedConfig, context: ExecutionContext, service: ServiceFacts) -> SecretsFacts:
    """Where the hub's secrets are, never what they are.

    The files of the service manager are among them: the environment they set may hold keys and passwords.
    """
    environment = context.environment
    home = environment.get("HOME", context.home)
    name = config.cookie_secret_file
    expanded = home + name[1:] if name.startswith("~/") else name
    directory = context.inside(context.directory)
    cookie, *certificates = (
        Path(context.on_host(os.path.join(directory, file))) for file in (expanded, *config.ssl_files)
    )
    exists = cookie.exists()
    kept = [
        cookie,
        *certificates,
        *(Path(file) for file in dict.fromkeys([service.unit_file, *service.manager_files]) if file),
    ]
    return SecretsFacts(
        cookie_secret_file=CookieSecretFile(
            str(cookie), exists, f"{cookie.stat().st_mode & 0o7777:04o}" if exists else None
        ),
        cookie_secret_source=_source(
            config.cookie_secret_in_config, "JPY_COOKIE_SECRET" in environment, "file"
        ),
        proxy_auth_token_source=_source(
            config.proxy_token_in_config, "CONFIGPROXY_AUTH_TOKEN" in environment, "generated"
        ),
        crypt_key_source=_source(config.crypt_key_in_config, "JUPYTERHUB_CRYPT_KEY" in environment, "none"),
        files=[str(path) for path in kept if path.exists()],
    )


def _source(in_config: bool, in_environment: bool, otherwise: str) -> str:
    """JupyterHub's own order: what the config says, then the environment."""
    if in_config:
        return "config"
    return "environment" if in_environment else otherwise
