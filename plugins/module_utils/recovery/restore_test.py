"""The trial of a way back: everything that a restore relies on is tried, and nothing is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..databases import sqlite
from ..environments.layout import python_of
from ..errors import HubError
from ..hub import logs
from ..services import service_of
from ..system.execution_context import ExecutionContext
from .manifest import Manifest

IMPORT_SECONDS = 120
SUFFIX = ".hubops-restore-test"
#: Runs in the old environment, as the hub's user. Its own models refuse a database of another revision.
_OPEN = """
import sys
if sys.path[0] == "":
    del sys.path[0]
import jupyterhub
if sys.argv[1:]:
    from jupyterhub import orm
    from sqlalchemy.engine.url import URL
    url = str(getattr(URL, "create", URL)("sqlite", database=sys.argv[1]))
    session = orm.new_session_factory(url)()
    print("users", session.query(orm.User).count())
"""


def try_database(point: Path, manifest: Manifest) -> list[str]:
    """Open the kept database; what is not as the manifest says."""
    kept = manifest.database
    try:
        found = sqlite.prove(point / kept.file)
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


def try_environments(manifest: Manifest, copy: Path, standing: dict[str, Path]) -> list[str]:
    """Have each old environment import JupyterHub, and the hub's also read the kept database; what fails.

    ``copy`` is the kept database. ``standing`` has the folders that the environments are in now, by the path
    that they belong at. Nothing is written to either; the database is read in a second copy beside the hub's
    own, where the hub's user can reach it.
    """
    deployment = manifest.deployment
    context = service_of(deployment.service).context()
    wrong = []
    with _scratch(copy, Path(manifest.database.path), context) as scratch:
        for path, folder in standing.items():
            is_hub = path == deployment.hub_environment.path
            reason = _failure(folder, scratch if is_hub else None, manifest.database.rows, context)
            wrong += [f"{folder} cannot serve again: {reason}"] if reason else []
    return wrong


def _failure(folder: Path, database: Path | None, rows: dict[str, int], context: ExecutionContext) -> str:
    """Why an environment cannot do its work; empty when it can."""
    python = python_of(folder)
    if python is None:
        return "its Python is gone"
    argv = [python, "-B", "-c", _OPEN, *([str(database)] if database else [])]
    try:
        done = context.run(argv, timeout=IMPORT_SECONDS)
    except HubError as error:
        return error.message.rstrip(".")
    if done.returncode:
        return logs.reason(done.stderr) or f"it ended with {done.returncode}"
    counted = f"users {rows.get('users')}"
    if database and counted not in done.stdout.splitlines():
        return f"it finds {done.stdout.strip() or 'nothing'} in the database, not {counted}"
    return ""


@contextlib.contextmanager
def _scratch(copy: Path, database: Path, context: ExecutionContext) -> Iterator[Path]:
    """A copy that the hub's user may write to. Its folder always has the same name: nothing can pile up."""
    folder = Path(f"{os.path.realpath(database)}{SUFFIX}")
    _remove(folder)
    try:
        folder.mkdir(mode=0o700)
        scratch = folder / "restore-test.sqlite"
        shutil.copyfile(copy, scratch)
        for path in (folder, scratch):
            os.chown(path, context.uid, context.gid)
        yield scratch
    except OSError as error:
        raise HubError(
            f"There is no room beside {database} for a trial of the way back: {error.strerror}.",
            "Make room there, or see to the folder's owner and mode.",
        ) from error
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
