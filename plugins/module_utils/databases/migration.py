"""Migration of the hub's database to an environment's schema, and the process that waits for its word."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..environments.packages import installed_version
from ..errors import HubError
from ..hub import logs
from ..hub_scripts import migrator
from ..system import files, state
from ..system.execution_context import ExecutionContext
from ..system.processes import birth, is_alive
from ..system.source import source_of
from . import clients, schema
from .base import Contents, Database, DatabaseCopy

SOCKET = "migration.socket"
PROCESS = "migration.process"
LOG = "migration.log"
#: Folders of the processes that migrate through releases in between begin so.
INTERMEDIATE = "intermediate-"
START_TIMEOUT = 60
ANSWER_TIMEOUT = 10


class MigrationFails(HubError):
    """A copy of the database could not be migrated, or has lost rows: the database itself would."""


class Migration(NamedTuple):
    """What a migration did to a database."""

    changed: bool
    from_revision: str | None
    to_revision: str
    rows_before: dict[str, int]
    rows_after: dict[str, int]
    seconds: float
    """Duration of the migration itself, without any start of Python."""
    prepared: bool
    """Whether a prepared process did it."""


def prepare(
    database: Database,
    context: ExecutionContext,
    environment: str | Path,
    folder: Path,
    *,
    intermediate: Sequence[str] = (),
    wait: float = 900,
    timeout: float = 1800,
) -> bool:
    """Start the process that waits for its word, once it has migrated a copy of the database: see `rehearse`.

    Return False where one for this environment waits already, as a rehearsal of the whole hub leaves it.
    """
    if all(is_prepared(each, place) for place, each in _stations(folder, environment, intermediate)):
        return False
    with database.scratch(context) as scratch:
        copy = database.copy(scratch, context, "migration")
        rehearse(
            database,
            context,
            environment,
            folder,
            copy,
            intermediate=intermediate,
            wait=wait,
            timeout=timeout,
        )
    return True


def rehearse(
    database: Database,
    context: ExecutionContext,
    environment: str | Path,
    folder: Path,
    copy: DatabaseCopy,
    *,
    intermediate: Sequence[str] = (),
    wait: float = 900,
    timeout: float = 1800,
) -> Migration:
    """Have a process migrate a copy of the database, which then waits for the word to migrate the database.

    ``intermediate`` are environments that the copy, and then the database, is migrated with first, in their
    order: for each of them a process waits, too. It ends by itself when ``wait`` seconds have passed without
    a word.
    ``folder`` is the state folder; it holds the way to the process, for our eyes only.

    Raises HubError when the environment cannot be used, and MigrationFails when the rehearsal fails: then the
    migration would have failed, too, and nothing has changed.
    """
    before = copy.contents()
    abandon(folder)
    _require_older(database, before, environment)
    seconds = 0.0
    try:
        for place, each in _stations(folder, environment, intermediate):
            state.make_private(place)
            _start(context, each, place, wait)
            if _ask(place, {"do": "describe"}, START_TIMEOUT) is None:
                raise HubError(f"The hub in {each} cannot be loaded: {_log_end(place)}")
            seconds += _migrate_copy(database, copy, each, place, timeout)
    except BaseException:
        abandon(folder)
        raise
    return _migration(before, copy.contents(), environment, seconds, prepared=True)


def _stations(
    folder: Path, environment: str | Path, intermediate: Sequence[str]
) -> list[tuple[Path, str | Path]]:
    """The environments that a database is migrated with, in order, each with the folder of its process."""
    places = [folder / f"{INTERMEDIATE}{number}" for number in range(len(intermediate))]
    return [*zip(places, intermediate), (folder, environment)]


def is_prepared(environment: str | Path, folder: Path) -> bool:
    """Whether a process waits that has loaded the hub of this environment, whatever path it had then."""
    answer = _ask(folder, {"do": "describe"}, ANSWER_TIMEOUT)
    return answer is not None and answer["package"] == _identity(environment)


def _identity(environment: str | Path) -> str:
    """What tells an environment's jupyterhub from others, wherever it is moved."""
    package = schema.package(environment).stat()
    return f"{package.st_dev}:{package.st_ino}"


def is_waiting(folder: Path) -> bool:
    """Whether any prepared process waits."""
    return waiting_process(folder) is not None


def waiting_process(folder: Path) -> int | None:
    """Return the number of the prepared process that waits, None where there is none."""
    answer = _ask(folder, {"do": "describe"}, ANSWER_TIMEOUT)
    return None if answer is None else int(answer["pid"])


def abandon(folder: Path) -> bool:
    """End the prepared process, waiting or at work; return whether there was one. It is gone afterwards."""
    pid = None
    with contextlib.suppress(FileNotFoundError, ValueError):
        number, born = (folder / PROCESS).read_text(encoding="utf-8").split()
        pid = int(number) if birth(int(number)) == born and is_alive(int(number)) else None
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        while is_alive(pid) and birth(pid) == born:
            time.sleep(0.01)
    for name in (SOCKET, PROCESS):
        (folder / name).unlink(missing_ok=True)
    for place in folder.glob(f"{INTERMEDIATE}*"):
        abandon(place)
        shutil.rmtree(place)
    return pid is not None


@contextlib.contextmanager
def passing(folder: Path) -> Iterator[None]:
    """Have no prepared process after the block, and no state folder that was not there before."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        abandon(folder)
        if missing:
            (folder / LOG).unlink(missing_ok=True)
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def migrate(
    database: Database,
    context: ExecutionContext,
    environment: str | Path,
    folder: Path,
    *,
    intermediate: Sequence[str] = (),
    timeout: float = 1800,
) -> Migration:
    """Migrate the deployment's database to the schema of an environment, and read the result back.

    The hub must be stopped. ``intermediate`` as in `rehearse`; one that lies behind is left out. A prepared
    process does it where one waits, else a new one. Nothing is done when the revision is the right one
    already.

    Raises HubError when the migration fails, takes longer than ``timeout`` seconds, or the database has
    another revision or fewer rows afterwards. The database may then be half migrated: only a copy helps.
    """
    before = database.contents()
    prepared = False
    seconds = 0.0
    if before.revision != schema.head_revision(environment):
        _require_older(database, before, environment)
        ahead = [each for each in intermediate if before.revision in schema.revisions(each)]
        for place, each in _stations(folder, environment, ahead):
            prepared, taken = _take_step(database, context, each, place, timeout)
            seconds += taken
    abandon(folder)
    after = database.contents()
    _require_whole(database, before, after, environment)
    return _migration(before, after, environment, seconds, prepared)


def _take_step(
    database: Database, context: ExecutionContext, environment: str | Path, place: Path, timeout: float
) -> tuple[bool, float]:
    """Migrate the database with one environment; whether its prepared process did it, and the seconds."""
    request = {"do": "migrate", "url": _url(database, environment)}
    answer = _ask(place, request, timeout) if is_prepared(environment, place) else None
    if answer is not None:
        return True, _seconds(answer, database)
    answer = _run(context, environment, request, timeout)
    return False, _seconds(answer, database)


def _migration(
    before: Contents,
    after: Contents,
    environment: str | Path,
    seconds: float,
    prepared: bool,
) -> Migration:
    return Migration(
        changed=before.revision != after.revision,
        from_revision=before.revision,
        to_revision=schema.head_revision(environment),
        rows_before=before.rows,
        rows_after=after.rows,
        seconds=seconds,
        prepared=prepared,
    )


def python_of(environment: str | Path) -> str:
    """Return the path of an environment's interpreter. Raises HubError when there is none."""
    python = Path(environment, "bin", "python")
    if not os.access(python, os.X_OK):
        raise HubError(f"There is no Python in {environment}.", "Build the environment first.")
    return str(python)


def _url(database: Database, environment: str | Path) -> str:
    return database.url(installed_version(environment, "sqlalchemy") or "")


def _start(context: ExecutionContext, environment: str | Path, folder: Path, wait: float) -> None:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener, os.fdopen(log, "w") as output:
        with _address(folder) as address:
            listener.bind(address)
        (folder / SOCKET).chmod(0o600)
        listener.listen()
        process = context.outliving().start(
            [python_of(environment), "-I", "-c", source_of(migrator), str(wait), _identity(environment)],
            stdin=listener.fileno(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        files.write(folder / PROCESS, f"{process.pid} {birth(process.pid)}".encode())


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Give the socket's address by descriptor of its folder: a path would be limited to 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def _ask(folder: Path, request: dict[str, Any], timeout: float) -> dict[str, Any] | None:
    """Send a request to the waiting process; None when there is none, or it ended without an answer."""
    if not (folder / SOCKET).exists():
        return None
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(timeout)
        try:
            with _address(folder) as address:
                connection.connect(address)
            with connection.makefile("rw") as stream:
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                line = stream.readline()
        except socket.timeout:
            raise HubError(
                f"The prepared migration did not answer within {timeout:g} seconds.",
                f"Its output is in {folder / LOG}.",
            ) from None
        except (ConnectionError, FileNotFoundError):
            return None
    return json.loads(line) if line else None


def _run(
    context: ExecutionContext, environment: str | Path, request: dict[str, Any], timeout: float
) -> dict[str, Any]:
    """Have a new process do it."""
    argv = [python_of(environment), "-I", "-c", source_of(migrator)]
    ended = context.run(argv, input=json.dumps(request) + "\n", timeout=timeout)
    lines = ended.stdout.splitlines()
    if ended.returncode < 0:
        return {"error": f"signal {-ended.returncode} ended it"}
    if ended.returncode or not lines:
        return {"error": logs.reason(ended.stderr) or f"Python ended with status {ended.returncode}"}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _migrate_copy(
    database: Database, copy: DatabaseCopy, environment: str | Path, folder: Path, timeout: float
) -> float:
    """Have a prepared process migrate a copy of ``database``; the seconds that it took."""
    before = copy.contents()
    answer = _ask(folder, {"do": "migrate", "url": _url(copy, environment)}, timeout)
    try:
        seconds = _seconds(answer or {"error": _log_end(folder)}, database)
        _require_whole(copy, before, copy.contents(), environment)
    except HubError as error:
        raise MigrationFails(
            f"The rehearsal on a copy of the database failed. {error.message}",
            f"{error.hint} The database itself is unchanged.".lstrip(),
        ) from error
    return seconds


def _seconds(answer: dict[str, Any], database: Database) -> float:
    if "error" not in answer:
        return float(answer["seconds"])
    reason = str(answer["error"])
    hint = ""
    if re.search(r"no such column: (roles\.managed_by_auth|users\.user_info|spawners\.display_name)", reason):
        hint = (
            "Stop all single-user servers through the old hub first: while one is registered, a hub of "
            "version 2 cannot be migrated to 5 or later in one step."
        )
    elif "database is locked" in reason:
        hint = "Another process has the database open; find it with `fuser`."
    else:
        hint = clients.remedy(reason)
    raise HubError(f"The migration of {database.name} failed: {reason.splitlines()[0]}.", hint)


def _require_older(database: Database, found: Contents, environment: str | Path) -> None:
    """Refuse what is not a hub's database, or that of a newer hub."""
    if "users" not in found.rows:
        raise HubError(
            f"{database.name} is not a hub's database: it has no table of users.",
            "Compare JupyterHub.db_url and the service's working directory.",
        )
    if found.revision is not None and found.revision not in schema.revisions(environment):
        raise HubError(
            f"The database {database.name} has revision {found.revision}, which the jupyterhub in "
            f"{environment} does not know.",
            "It is a newer hub's. There is no way down: restore the copy that belongs to this hub.",
        )


def _require_whole(database: Database, before: Contents, after: Contents, environment: str | Path) -> None:
    """Refuse a result that has another revision than the environment, or has lost rows."""
    head = schema.head_revision(environment)
    if after.revision != head:
        raise HubError(
            f"The database {database.name} has revision {after.revision} after the migration, not {head}.",
            "Restore the copy.",
        )
    may_go = schema.given_up(environment, before.revision)
    lost = [
        f"{table} ({count} before, {after.rows.get(table, 0)} after)"
        for table, count in sorted(before.rows.items())
        if after.rows.get(table, 0) < count and table not in may_go
    ]
    if lost:
        raise HubError(
            f"The migration of {database.name} lost rows of {', '.join(lost)}.",
            "Restore the copy and report it.",
        )


def _log_end(folder: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return logs.reason((folder / LOG).read_text(errors="replace"))
    return ""
