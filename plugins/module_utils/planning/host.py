"""What a plan has to know of the host besides the deployment: disk space, permission, interpreters."""

from __future__ import annotations

import concurrent.futures
import contextlib
import getpass
import os
import shutil
from datetime import datetime
from pathlib import Path

from ..deployment import verification
from ..deployment.database import database_of
from ..deployment.model import Deployment
from ..environments import interpreter, links
from ..environments.as_owner import owner_of
from ..environments.kinds import environment_of
from ..environments.packages import all_packages, requirement_files
from ..errors import HubError
from ..system import mounts, state
from ..system.execution_context import find_program
from . import basis, live_process, site_files
from .target import installed_options
from .upgrade import Host

#: Bytes that are read of a template or a script: more than one usually has.
LARGEST_TEXT = 256 * 1024
MOST_TEMPLATES = 200


def look(deployment: Deployment, base: str | None, python: str, user: str = "") -> Host:
    """Read the host, and write nothing. ``python`` is a requested interpreter, or ''.

    ``user`` is one that the hub should know, or ''. What an installer would do is not looked at: see
    `resolution.resolve`.
    """
    folder = state.state_folder(deployment.name, base)
    every = {entry.path.rstrip("/"): entry.kind for entry in deployment.environments}
    # What cannot be upgraded is neither copied nor written: a system's folder may be large.
    environments = [path for path, kind in every.items() if environment_of(kind, path).can_be_upgraded]
    parents = {str(Path(path).parent) for path in environments}
    must_write = [*parents, *environments, str(folder)]
    folders = {*parents, str(folder)}
    if deployment.database.path:
        database = Path(deployment.database.path)
        must_write += [str(database), str(database.parent)]
        folders.add(str(database.parent))
    written = site_files.written(deployment, str(folder))
    known_mounts = mounts.mounts()
    interpreters = [python, *(entry.python for entry in deployment.environments)]
    return Host(
        root=os.geteuid() == 0,
        user=getpass.getuser(),
        state_folder=str(folder),
        free_bytes={path: shutil.disk_usage(_existing(Path(path))).free for path in folders},
        environment_bytes={path: size_of(Path(path)) for path in environments},
        linkable=[path for path, kind in every.items() if _is_linkable(path, kind, folder)],
        not_writable=[
            path for path in dict.fromkeys(must_write) if not os.access(_existing(Path(path)), os.W_OK)
        ],
        python_versions=versions_of([each for each in interpreters if each]),
        links={path: [(link.path, link.target) for link in links.in_the_way(path)] for path in environments},
        mounts={path: mounts.within(path, known_mounts) for path in environments},
        written={
            path: {file: written[file] for file in site_files.within(path, written)} for path in environments
        },
        requirement_files=requirement_files(Path(deployment.hub_environment.path)),
        unanswered=verification.unanswered(deployment) if _can_be_asked(deployment) else {},
        differences=live_process.differences(deployment),
        of_site=basis.files_of_site(deployment),
        installed={path: all_packages(path) for path in every},
        options=installed_options(deployment.hub_environment.path),
        templates=_templates(deployment.config.template_folders),
        single_user_script=_single_user_script(deployment),
        knows_user=not user or _knows_user(deployment, user),
        running_servers=_running_servers(deployment),
        now=datetime.now(),
        apart=_is_apart(deployment, folder),
    )


def _knows_user(deployment: Deployment, user: str) -> bool:
    """Whether the hub has this user; True where it cannot be asked, which is a finding of its own."""
    try:
        return user in database_of(deployment).users()
    except HubError:
        return True


def _running_servers(deployment: Deployment) -> list[str]:
    """Names of the servers that are registered; none where there are none, or they cannot be read."""
    if deployment.database.servers:
        with contextlib.suppress(HubError):
            return database_of(deployment).servers()
    return []


def _is_apart(deployment: Deployment, folder: Path) -> bool:
    """Whether the state folder is on another file system than the database's file."""
    path = deployment.database.path
    return path is not None and _device(folder) != _device(Path(path).parent)


def _is_linkable(path: str, kind: str, folder: Path) -> bool:
    """Whether copies of an environment may be links to one in the state folder ``folder``."""
    able = environment_of(kind, path).can_be_a_copy and owner_of(path) is None
    return able and _device(Path(path)) == _device(folder)


def _device(folder: Path) -> int:
    return _existing(folder).stat().st_dev


def _can_be_asked(deployment: Deployment) -> bool:
    """Whether the hub runs, and answers those who have no certificate of its own."""
    return deployment.service.state == "running" and not deployment.config.internal_ssl


def _existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    return path if path.exists() else _existing(path.parent)


def size_of(folder: Path) -> int:
    """Bytes that the files below ``folder`` hold."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except PermissionError:
            continue
    return total


def _templates(folders: list[str]) -> dict[str, str]:
    """The texts of custom templates by their paths."""
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.html"))
    return {str(file): _text(file) for file in files[:MOST_TEMPLATES]}


def _single_user_script(deployment: Deployment) -> tuple[str, str]:
    """Path and text of the single-user command, where that is a script."""
    command = deployment.spawner.command
    program = find_program(command[0], deployment.service.path) if command else None
    text = _text(program) if program else ""
    return (str(program), text) if text.startswith("#!") else ("", "")


def _text(file: Path) -> str:
    """The beginning of a text file, '' where it cannot be read."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(LARGEST_TEXT)
    except OSError:
        return ""


def versions_of(interpreters: list[str]) -> dict[str, str]:
    """The versions of interpreters, which are started in parallel: a start is mostly waiting."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(interpreters, pool.map(interpreter.version_of, interpreters)))
