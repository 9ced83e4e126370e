"""The client programs of a database server: found on the host, run as the hub's user."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import HubError
from ..hub import logs
from ..system.execution_context import ExecutionContext
from ..system.processes import succeeded

#: What servers say to who comes too late, and what is to be done.
_REMEDIES = {
    r"too many connections for (role|database)": (
        "Others have all connections that the role or the database may have. End some of them, or have an "
        "administrator raise its CONNECTION LIMIT: an upgrade needs a few beside the hub's own."
    ),
    r"too many clients already|connection slots are reserved|Too many connections|max_user_connections": (
        "Others have all connections that the server allows. End some of them, or have an administrator "
        "raise max_connections, or the limit of the hub's user: an upgrade needs a few beside the hub's own."
    ),
}


def found(program: str, search_path: str, folders: Iterable[Path]) -> list[str]:
    """All programs of this name that can be run: those of the search path, then those of ``folders``."""
    places = [*search_path.split(os.pathsep), *os.defpath.split(os.pathsep), *map(str, folders)]
    paths = [shutil.which(program, path=place) for place in dict.fromkeys(places) if place]
    return [path for path in dict.fromkeys(paths) if path]


def version(program: str) -> str:
    """The version that a program says it is, ``15.13``; '' where it does not run."""
    return version_in(version_line(program))


def version_in(line: str) -> str:
    """The version in the line that a program prints when it is asked for it; '' where there is none."""
    told = re.search(r"(\d+\.\d+(?:\.\d+)?)(?:\s|,|$)", line)
    return told[1] if told else ""


def version_line(program: str) -> str:
    """What a program prints when it is asked for its version; '' where it does not run."""
    done = succeeded([program, "--version"])
    return done.stdout.strip() if done else ""


def run(context: ExecutionContext, argv: Sequence[str], **how: Any) -> str:
    """Run a client to its end and return what it prints; it ends with this process.

    ``how`` as in `ExecutionContext.run`. Raises HubError with the reason that the client gives.
    """
    done = context.run(argv, **how)
    if done.returncode:
        raise _failure(argv, done.stderr, done.returncode)
    return done.stdout or ""


@contextlib.contextmanager
def piped(
    context: ExecutionContext,
    argv: Sequence[str],
    *,
    source: IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[str]]:
    """A client that is read and written while it runs; it has ended after the block.

    Its input is a pipe, or the file ``source``. Raises HubError with the reason that it gives for a failure.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as complaint:
        process = context.start(
            argv,
            stdin=source or subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaint,
            pass_fds=pass_fds,
            outlives_us=False,
        )
        with process:
            is_done = False
            try:
                yield process
                is_done = True
            finally:
                if not is_done:
                    process.kill()
        if process.returncode:
            complaint.seek(0)
            raise _failure(argv, complaint.read(), process.returncode)


@contextlib.contextmanager
def private_file(content: bytes, context: ExecutionContext) -> Iterator[tuple[str, int]]:
    """A file that no folder has, of the context's user alone: its path, and the descriptor that is passed on.

    It is gone with the last process that has it open.
    """
    with os.fdopen(os.memfd_create("private"), "wb") as file:
        # Clients ignore one that everybody may write.
        os.fchmod(file.fileno(), 0o600)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), context.uid, context.gid)
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}", file.fileno()


def _failure(argv: Sequence[str], complaint: str, status: int) -> HubError:
    why = reason(complaint)
    return HubError(f"{Path(argv[0]).name}: {why or f'status {status}'}.", remedy(why))


def remedy(why: str) -> str:
    """What is to be done where a server has refused a connection in these words; '' where that is unknown."""
    return next((hint for said, hint in _REMEDIES.items() if re.search(said, why)), "")


def reason(complaint: str) -> str:
    """The lines of a client's output that say why it has failed, as one, without secrets."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    wrong = [line for line in lines if re.search(r"(?i)error|fatal|denied|refuse", line)] or lines
    said = [
        re.sub(r"^(psql|pg_dump|pg_restore): (psql:<stdin>:\d+: )?|^psql:<stdin>:\d+: ", "", each)
        for each in wrong
    ]
    return logs.scrub(" ".join(said[:3])).rstrip(".")
