"""The folder of a rehearsal: of the hub's user, for one rehearsal at a time, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import HubError
from ..system import files
from ..system.execution_context import ExecutionContext

SUFFIX = ".hubops-rehearsal"
PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.05


@contextlib.contextmanager
def scratch(folder: Path, context: ExecutionContext) -> Iterator[Path]:
    """The folder, of the hub's user, empty at first and gone afterwards.

    Raises HubError when it cannot be made, and when another rehearsal has it. One that was killed has not.
    """
    with contextlib.ExitStack() as stack:
        try:
            _take(folder, stack)
            for entry in folder.iterdir():
                _remove(entry)
            os.chown(folder, context.uid, context.gid)
        except OSError as error:
            raise HubError(
                f"{folder} cannot be made for the rehearsal: {error.strerror}.",
                "Make space there, or check the folder's owner and mode.",
            ) from error
        try:
            yield folder
        finally:
            _remove(folder)


@contextlib.contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Have the folder of no rehearsal, which must not be there afterwards.

    Raises HubError when a rehearsal is at work.
    """
    with contextlib.ExitStack() as stack:
        _take(folder, stack)
        try:
            yield
        finally:
            _remove(folder)


def remove(folder: Path) -> None:
    """Remove what a rehearsal that was killed has left. Raises HubError when one is at work."""
    if os.path.lexists(folder):
        with taken(folder):
            pass


def _take(folder: Path, stack: contextlib.ExitStack) -> None:
    """Make the folder and lock it, as long as this process lives.

    Whoever only removes what is left has it for a moment, so it is waited for.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if folder.is_symlink():
            folder.unlink()
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = stack.enter_context(files.locked_folder(folder))
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS)
                continue
            raise HubError(
                f"Another rehearsal works in {folder} at this moment.", "Wait until it has ended."
            ) from None
        # Its owner may have removed it before this process got the lock.
        if folder.is_dir() and os.path.samestat(folder.stat(), os.fstat(descriptor)):
            return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
