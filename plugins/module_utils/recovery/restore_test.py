"""The restore test: everything that a restore relies on is tried, and nothing is touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..databases.base import Database
from ..environments.as_owner import owner_of
from ..environments.base import Environment
from ..environments.relocation import run_python
from ..errors import HubError
from ..hub import logs
from ..progress import Progress
from ..services.kinds import service_of
from ..system.execution_context import ExecutionContext
from . import kept_database, kept_environments
from .manifest import Manifest

IMPORT_SECONDS = 120
#: Runs in the old environment, as the hub's user or its own. Its models refuse any other revision.
_OPEN = """
import sys
if sys.path[0] == "":
    del sys.path[0]
import jupyterhub
url = sys.stdin.read()
if url:
    from jupyterhub import orm
    session = orm.new_session_factory(url)()
    print("users", session.query(orm.User).count())
"""


def try_database(point: Path, manifest: Manifest) -> list[str]:
    """Open the kept database; what is not as the manifest says."""
    kept = manifest.database
    try:
        found = kept_database.of_manifest(point, manifest).prove(point, kept)
    except HubError as error:
        return [error.message.rstrip(".")]
    wrong = []
    if found.revision != kept.revision:
        wrong.append(f"{kept.file} has revision {found.revision}, not {kept.revision}")
    if found.rows != kept.rows:
        tables = sorted(
            name
            for name in found.rows.keys() | kept.rows.keys()
            if found.rows.get(name) != kept.rows.get(name)
        )
        wrong.append(f"{kept.file} has other numbers of rows in {', '.join(tables)}")
    return wrong


def try_environments(point: Path, manifest: Manifest) -> list[str]:
    """Have each old environment import JupyterHub, and the hub's also read the kept database; what fails.

    Nothing is written to them or to the kept database, which is read in another copy.
    """
    deployment = manifest.deployment
    context = service_of(deployment.service).context()
    wrong = []
    with kept_database.of_manifest(point, manifest).restored_copy(point, manifest.database, context) as copy:
        for entry in kept_environments.required(manifest):
            found = kept_environments.find(entry)
            is_hub = entry.path == deployment.hub_environment.path
            if found is None:
                wrong.append(f"{entry.aside} is gone")
                continue
            reason = _failure(found, copy if is_hub else None, manifest.database.rows, context)
            wrong += [f"{found.name} cannot serve again: {reason}"] if reason else []
    return wrong


def _failure(
    environment: Environment, database: Database | None, rows: dict[str, int], context: ExecutionContext
) -> str:
    """Why an environment cannot do its work; empty when it can."""
    python = environment.facts().python
    if python is None:
        return "its Python is gone"
    owner = None if database else owner_of(environment.name)
    url = database.url(environment.packages().get("sqlalchemy", "")) if database else ""
    try:
        if owner:
            return str(owner.call(_failure_to_import, environment.name))
        done = context.run([python, "-B", "-c", _OPEN], input=url, timeout=IMPORT_SECONDS)
    except HubError as error:
        return error.message.rstrip(".")
    if done.returncode:
        return _reason(done)
    counted = f"users {rows.get('users')}"
    if database and counted not in done.stdout.splitlines():
        return f"it finds {done.stdout.strip() or 'nothing'} in the database, not {counted}"
    return ""


def _failure_to_import(_progress: Progress, path: str) -> str:
    """The same for an environment of another user, in a process of its owner's."""
    done = run_python(Path(path), ["-c", _OPEN], input="", seconds=IMPORT_SECONDS)
    return _reason(done) if done.returncode else ""


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    return logs.reason(done.stderr) or f"it ended with {done.returncode}"
