"""Finds what runs on a host, so that nothing of it has to be asked for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..databases.access import CopiesConfig, DatabaseConfig
from ..databases.kinds import database_of, find_database, kind_of
from ..databases.sqlite_database import SqliteDatabase
from ..environments.discovery import (
    environment_of_command,
    environment_of_python,
    environment_of_script,
    expand_environments,
)
from ..environments.environment import read_environment
from ..environments.facts import EnvironmentFacts
from ..errors import HubError
from ..hub import api, proxy
from ..services.base import Service
from ..services.command_line import HubCommand
from ..services.kinds import find_services
from ..system.execution_context import ExecutionContext
from ..system.state import state_folder
from .config import describe_config, describe_secrets, load_config
from .database import COPIES
from .model import Deployment

LOCK_SECONDS = 0.5


def find_deployment(
    name: str | None = None,
    *,
    config_file: str | None = None,
    hub_environment: str | None = None,
    user_environments: Sequence[str] = (),
    database_path: str | None = None,
    copies: CopiesConfig | None = None,
    base: str | None = None,
) -> Deployment:
    """The one hub of this host, or the one whose service is called ``name``.

    What is given is used instead of what is found; ``user_environments`` come on top of it: paths and globs,
    with ``{username}`` for the name of each user that the database knows.
    ``copies`` says with whose access the database is copied; it is kept in the state folder below ``base``.
    Raises HubError when there is no hub, there are several, its config does not load, or root is needed.
    """
    service = choose(find_services(name), name)
    context = service.context()
    command = service.hub_command()
    environment_path = hub_environment or environment_of_hub(service, command, context)
    hub = read_environment(environment_path)
    if hub.jupyterhub is None:
        raise HubError(
            f"The environment {environment_path} of {service.name} has no jupyterhub installed.",
            "Name the right one: jupyterhub_environment in the inventory (the option hub_environment).",
        )
    config = load_config(hub, command, context, config_file)
    facts = service.facts()
    described = describe_config(config, context, facts.main_pid)
    sqlalchemy = hub.packages.get("sqlalchemy", "")
    database_config = DatabaseConfig(config.db_url, config.db_connect_args, copies)
    database = (
        SqliteDatabase.at(Path(database_path), config.db_url, context, LOCK_SECONDS)
        if database_path
        else find_database(database_config, context, sqlalchemy, LOCK_SECONDS)
    )
    if copies:
        file = state_folder(service.deployment_name, base) / COPIES
        database = replace(database, copies_file=str(file))

    def users() -> set[str]:
        access = kind_of(database).access_of(database_config, context, sqlalchemy)
        return database_of(database, access).users()

    return Deployment(
        name=service.deployment_name,
        service=facts,
        config=described,
        database=database,
        secrets=describe_secrets(config, context, facts),
        proxy=replace(
            config.proxy,
            program=proxy.find_program_of(config.proxy.managed, config.proxy.command, context),
            answers=config.proxy.managed or api.version(f"{described.public_url}hub/api") is not None,
        ),
        spawner=config.spawner,
        authenticator=config.authenticator,
        hub_environment=hub,
        user_environments=_user_environments(
            # A command of an environment that the service brings along is found in that, and not here.
            config.spawner.commands if context.sees_host else [],
            context,
            expand_environments(user_environments, users),
            environment_path,
        ),
    )


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
            "No JupyterHub was found on this host: no systemd unit, no program of a running supervisord and "
            "no container of Docker starts one.",
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


def environment_of_hub(service: Service, command: HubCommand | None, context: ExecutionContext) -> str:
    """Path of the environment that a service's hub runs in. Raises HubError where nothing tells it."""
    found = service.own_environment()
    if command and found is None:
        find = environment_of_python if command.is_python else environment_of_script
        found = find(command.program, context.path)
    if found is None:
        running = service.running_hub_command()
        if running:
            find = environment_of_python if running.is_python else environment_of_script
            found = find(running.program, context.path)
    if found is None:
        raise HubError(
            f"The environment of the hub cannot be determined from the command of {service.name}, "
            f"`{shlex.join(service.command())}`.",
            "Start the hub, or name its environment: jupyterhub_environment in the inventory.",
        )
    return found


def _user_environments(
    commands: Sequence[Sequence[str]], context: ExecutionContext, given: Sequence[str], hub_path: str
) -> list[EnvironmentFacts]:
    """The environments of the single-user commands and those that were named, without the hub's own."""
    found = (environment_of_command(command, context.path) for command in commands)
    paths = [*filter(None, found), *given]
    seen = {os.path.realpath(hub_path)}
    environments = []
    for path in paths:
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            environments.append(read_environment(path))
    return environments
