"""Deployment: what runs on a host, found and not asked for.

`find_deployment` returns the structure of docs/architecture.md. Values of environment variables, passwords
and tokens are not in it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import config_probe, database, health, managed_services, proxy, sqlite
from .command import HubCommand, with_config_file
from .environment import (
    environment_of_command,
    environment_of_python,
    environment_of_script,
    expand_environments,
    python_of,
    read_environment,
)
from .errors import HubError
from .service import Service, find_services
from .surroundings import Surroundings

CONFIG_SECONDS = 60
LOCK_SECONDS = 0.5
EVERYWHERE = ("", "*", "0.0.0.0", "::")


def find_deployment(
    name: str | None = None,
    *,
    config_file: str | None = None,
    hub_environment: str | None = None,
    user_environments: Sequence[str] = (),
    database_path: str | None = None,
) -> dict[str, Any]:
    """The one hub of this host, or the one whose service is called ``name``.

    What is given is used instead of what is found; ``user_environments`` (paths and globs) come on top of it.
    Raises HubError when there is no hub, there are several, its config does not load, or root is needed.
    """
    service = choose(find_services(name), name)
    surroundings = service.surroundings()
    command = service.hub_command()
    environment_path = hub_environment or _hub_environment(service, command, surroundings)
    hub = read_environment(environment_path)
    if hub["jupyterhub"] is None:
        raise HubError(
            f"The environment {environment_path} of {service.name} has no jupyterhub installed.",
            "Name the right one: jupyterhub_environment in the inventory (the option hub_environment).",
        )
    config = load_config(hub, command, surroundings, config_file)
    described = service.describe()
    return {
        "name": service.deployment_name,
        "service": described,
        "config": describe_config(config, described["main_pid"]),
        "database": describe_database(config["db_url"], hub, surroundings, database_path),
        "secrets": describe_secrets(config, surroundings, described),
        "proxy": {
            **{
                key: config["proxy"][key]
                for key in ("class", "package", "version", "managed", "api_url", "command")
            },
            "program": proxy.find_program_of(config["proxy"], surroundings),
        },
        "spawner": config["spawner"],
        "authenticator": config["authenticator"],
        "hub_environment": hub,
        "user_environments": _user_environments(
            config["spawner"]["command"], surroundings, user_environments, environment_path
        ),
    }


def choose(services: Sequence[Service], name: str | None) -> Service:
    """The one service. Raises HubError, with what was found, when there is none or more than one."""
    if len(services) == 1:
        return services[0]
    if services:
        raise HubError(
            f"There are {len(services)} hubs{f' called {name}' if name else ''} on this host: "
            f"{_listing(services)}.",
            "Say which one by its full name: jupyterhub_service in the inventory (the option service).",
        )
    if name is None:
        raise HubError(
            "No JupyterHub was found on this host: no systemd unit and no program of a running supervisord "
            "starts one.",
            "Start its service manager, become root, or name its service in jupyterhub_service.",
        )
    others = find_services()
    raise HubError(
        f"There is no service {name} on this host that runs a hub.",
        f"Found: {_listing(others)}." if others else "No other hub was found either.",
    )


def _listing(services: Sequence[Service]) -> str:
    return ", ".join(
        f"{service.name} ({service.manager}: {shlex.join(service.command())})" for service in services
    )


def _hub_environment(service: Service, command: HubCommand | None, surroundings: Surroundings) -> str:
    found = None
    if command:
        find = environment_of_python if command.is_python else environment_of_script
        found = find(command.program, surroundings.path)
    if found is None:
        running = service.running_hub_command()
        if running:
            find = environment_of_python if running.is_python else environment_of_script
            found = find(running.program, surroundings.path)
    if found is None:
        raise HubError(
            f"The environment of the hub cannot be told from the command of {service.name}, "
            f"`{shlex.join(service.command())}`.",
            "Start the hub, or name its environment: jupyterhub_environment in the inventory.",
        )
    return found


def load_config(
    hub: dict[str, Any], command: HubCommand | None, surroundings: Surroundings, config_file: str | None
) -> dict[str, Any]:
    """What config_probe.py says of the hub's config, loaded by the hub's own Python in its surroundings.

    Raises HubError when the config does not load, with the error's last line and its place.
    """
    python = python_of(Path(hub["path"]))
    if python is None:
        raise HubError(
            f"The Python of {hub['path']} is gone: {hub['path']}/bin/python cannot be executed.",
            "An upgrade of the operating system does that to a venv; make the environment anew.",
        )
    arguments = command.arguments if command else []
    if config_file:
        arguments = with_config_file(arguments, config_file)
    script = command.program if command and not command.is_python else None
    if command is None or (script and not os.path.isabs(script)):
        script = f"{hub['path']}/bin/jupyterhub"
    done = surroundings.run(
        [python, "-B", "-c", _source_of_probe()],
        input=json.dumps({"script": script, "arguments": arguments}),
        timeout=CONFIG_SECONDS,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise HubError(f"The Python of {hub['path']} could not load the hub's config: {last}") from None
    if "error" in answer:
        error = answer["error"]
        said = done.stderr.strip().splitlines()
        # A hub that gives up says why in its log, and only then exits.
        message = said[-1] if error["message"].startswith("SystemExit") and said else error["message"]
        place = f" ({error['place']})" if error["place"] else ""
        raise HubError(
            f"The hub's config does not load: {message}{place}.",
            "The running hub would not start with it either: mend it first.",
        )
    return answer


def _source_of_probe() -> str:
    """The text of config_probe.py, also where modules come out of a zip file."""
    spec = importlib.util.find_spec(config_probe.__name__)
    source: str | bytes = spec.loader.get_source(config_probe.__name__)  # type: ignore[union-attr]
    # Ansible's own loader of collections gives bytes.
    return source if isinstance(source, str) else source.decode("utf-8")


def describe_config(config: dict[str, Any], main_pid: int | None) -> dict[str, Any]:
    """The ``config`` part of a deployment whose hub is the process ``main_pid``."""
    running = managed_services.running(main_pid)
    public = urlsplit(config["bind_url"])
    scheme = "https" if config["ssl_files"] else public.scheme
    api = urlsplit(config["hub_bind_url"])
    return {
        "file": config["config_file"],
        "files": config["files"],
        "base_url": config["base_url"],
        "bind_url": config["bind_url"],
        "hub_api_url": _url(api.scheme, _reachable(api.netloc), f"{config['hub_prefix']}api"),
        "public_url": _url(scheme, _reachable(public.netloc), config["base_url"]),
        "services": [
            {**service, "running": service["managed"] and service["name"] in running}
            for service in config["services"]
        ],
        "roles": config["roles"],
        "options": config["options"],
        "template_folders": config["template_folders"],
        "written": config["written"],
        "cleanup_servers": config["cleanup_servers"],
        "oauth_require_pkce": config["oauth_require_pkce"],
        "tls": bool(config["ssl_files"]) or config["internal_ssl"],
        "internal_ssl": config["internal_ssl"],
        "certificate_problem": config["certificate_problem"],
        "shadowed": config["shadowed"],
        "warnings": config["warnings"],
    }


def _url(scheme: str, netloc: str, path: str) -> str:
    return urlunsplit((scheme, netloc, path, "", ""))


def _reachable(netloc: str) -> str:
    """An address to call where a server is bound to: loopback, where it is bound to all."""
    host, colon, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    if not colon and port:
        host, port = netloc, ""
    address = "127.0.0.1" if host.strip("[]") in EVERYWHERE else host
    return f"{address}{colon}{port}"


def describe_database(
    url: str, hub: dict[str, Any], surroundings: Surroundings, path: str | None = None
) -> dict[str, Any]:
    """The ``database`` part of a deployment; ``problem`` says why there is nothing in it to read.

    A database that is missing, locked or damaged is no error here: the rest can still be told.
    """
    file = (
        Path(path)
        if path
        else database.resolve_sqlite(url, surroundings.directory, hub["packages"].get("sqlalchemy", ""))
    )
    described: dict[str, Any] = {
        "kind": database.kind(url),
        "url": database.mask(url),
        "path": str(file) if file else None,
        "exists": bool(file and file.exists()),
        "bytes": file.stat().st_size if file and file.exists() else None,
        "revision": None,
        "journal_mode": None,
        "rows": None,
        **health.UNKNOWN,
        "problem": None,
    }
    if file:
        described.update(health.place(file, surroundings))
        try:
            read = sqlite.inspect(file, timeout=LOCK_SECONDS)
            described.update(revision=read.revision, journal_mode=read.journal_mode, rows=read.rows)
            described.update(health.examine(file, read.revision, timeout=LOCK_SECONDS))
        except HubError as error:
            described["problem"] = str(error)
    return described


def describe_secrets(
    config: dict[str, Any], surroundings: Surroundings, service: dict[str, Any]
) -> dict[str, Any]:
    """The ``secrets`` part of a deployment: where they are, never what they are.

    The files of the service manager are among them: the environment they set may hold keys and passwords.
    """
    environment = surroundings.environment
    home = environment.get("HOME", surroundings.home)
    name = config["cookie_secret_file"]
    expanded = home + name[1:] if name.startswith("~/") else name
    cookie = Path(surroundings.directory, expanded)
    exists = cookie.exists()
    managers = dict.fromkeys([service["unit_file"], service.get("supervisor_config", "")])
    kept = [
        cookie,
        *(Path(surroundings.directory, file) for file in [*config["ssl_files"], *managers] if file),
    ]
    return {
        "cookie_secret_file": {
            "path": str(cookie),
            "exists": exists,
            "mode": f"{cookie.stat().st_mode & 0o7777:04o}" if exists else None,
        },
        "cookie_secret_source": _source(
            config["cookie_secret_in_config"], "JPY_COOKIE_SECRET" in environment, "file"
        ),
        "proxy_auth_token_source": _source(
            config["proxy"]["token_in_config"], "CONFIGPROXY_AUTH_TOKEN" in environment, "generated"
        ),
        "crypt_key_source": _source(
            config["crypt_key_in_config"], "JUPYTERHUB_CRYPT_KEY" in environment, "none"
        ),
        "files": [str(path) for path in kept if path.exists()],
    }


def _source(in_config: bool, in_environment: bool, otherwise: str) -> str:
    """JupyterHub's own order: what the config says, then the environment."""
    if in_config:
        return "config"
    return "environment" if in_environment else otherwise


def _user_environments(
    command: Sequence[str], surroundings: Surroundings, given: Sequence[str], hub_path: str
) -> list[dict[str, Any]]:
    """The environment of the single-user command and those that were named, without the hub's own."""
    found = environment_of_command(command, surroundings.path)
    paths = [*([found] if found else []), *expand_environments(given)]
    seen = {os.path.realpath(hub_path)}
    environments = []
    for path in paths:
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            environments.append(read_environment(path))
    return environments
