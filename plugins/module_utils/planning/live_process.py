"""The hub that runs, compared with the one that its service would start now."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ..deployment.model import Deployment
from ..environments.layout import site_packages
from ..errors import HubError
from ..hub import logs
from ..services.base import Service
from ..services.command_line import hub_command
from ..services.kinds import service_of
from ..system.processes import Process, started_at
from . import site_files

#: Files that are written while the hub is being started count as read by it.
START_SECONDS = 1.0
MOST_NAMES = 5


def differences(deployment: Deployment) -> list[str]:
    """What the running hub has not read or not been given yet, a clause each; none where it cannot be seen.

    Names of variables are told, their values never.
    """
    service = service_of(deployment.service)
    try:
        process = service.hub_process()
        return list(_differences(deployment, service, process)) if process else []
    except OSError:  # It has ended meanwhile, or is another user's.
        return []


def _differences(deployment: Deployment, service: Service, process: Process) -> Iterator[str]:
    started = started_at(process.pid) + START_SECONDS
    for path in _read(deployment):
        if _changed(path) > started:
            yield f"{path} is newer than its process"
    replaced = [name for name, changed in _packages(deployment.hub_environment.path) if changed > started]
    if replaced:
        more = f" and {len(replaced) - MOST_NAMES} more" if len(replaced) > MOST_NAMES else ""
        names = ", ".join(replaced[:MOST_NAMES])
        yield f"packages of {deployment.hub_environment.path} are newer than its process: {names}{more}"
    yield from _started_differently(service, process)


def _started_differently(service: Service, process: Process) -> Iterator[str]:
    configured, running = hub_command(service.command()), hub_command(process.argv)
    if configured is None or running is None or not configured.complete:
        # Then the process is all that is known.
        return
    if configured.arguments != running.arguments:
        now, then = (logs.scrub(shlex.join(each.arguments)) for each in (configured, running))
        yield f"it was started with the arguments `{then}`, and the service now has `{now}`"
    context = service.context()
    if not os.path.samefile(context.directory, process.directory()):
        yield f"it runs in {process.directory()}, and the service now has {context.directory}"
    environment = process.environment()
    names = [name for name, value in context.environment.items() if environment.get(name) != value]
    if names:
        yield f"the service now has other values for {', '.join(sorted(names))}"


def _read(deployment: Deployment) -> list[str]:
    """Files that a hub reads once, when it is started; it may write its cookie secret itself."""
    cookie_secret = deployment.secrets.cookie_secret_file.path
    return [path for path in site_files.read(deployment) if os.path.isfile(path) and path != cookie_secret]


def _packages(environment: str) -> Iterator[tuple[str, float]]:
    try:
        folders = site_packages(Path(environment))
    except HubError:
        return
    for folder in folders:
        for metadata in sorted(folder.glob("*.dist-info")):
            yield metadata.name.partition("-")[0], _changed(str(metadata))


def _changed(path: str) -> float:
    """When the file was written; 0 where it is gone meanwhile."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
