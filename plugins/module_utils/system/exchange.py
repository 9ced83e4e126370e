"""Exchange: two folders take each other's place, in one system call where the file system can."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from pathlib import Path

from ..errors import HubError
from . import files

#: linux/fs.h and linux/fcntl.h
RENAME_EXCHANGE = 2
AT_FDCWD = -100
#: Numbers of renameat2 for C libraries that have no function for it (glibc before 2.28, musl).
_SYSTEM_CALLS = {"x86_64": 316, "aarch64": 276, "ppc64le": 357, "s390x": 347, "riscv64": 276}
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def exchange(place: Path, other: Path) -> None:
    """Have the folders at two paths of one file system change places; durable when it returns.

    After an interruption both are where they were or both are exchanged; where the file system cannot
    exchange, `finish_exchange` completes it. Raises HubError when the system refuses.
    """
    try:
        if not _exchange_at_once(place, other):
            _exchange_by_renames(place, other)
    except OSError as error:
        raise _refusal(place, other, error) from error
    _sync_parents(place, other)


def finish_exchange(place: Path, other: Path) -> None:
    """Leave no exchange of these two half-way: afterwards it has taken place or has not. Safe at any time.

    Raises HubError when the system refuses.
    """
    aside = aside_of(place)
    if not os.path.lexists(aside):
        return
    try:
        aside.rename(other if os.path.lexists(place) else place)
    except OSError as error:
        raise _refusal(place, other, error) from error
    _sync_parents(place, other)


def move(source: Path, target: Path) -> None:
    """Give a folder another name on its file system, durably. Raises HubError when the system refuses."""
    try:
        source.rename(target)
    except OSError as error:
        raise HubError(
            f"{source} cannot be renamed to {target}: {error.strerror}.",
            "Correct that, then try again: nothing was moved.",
        ) from error
    _sync_parents(source, target)


def _exchange_at_once(place: Path, other: Path) -> bool:
    """renameat2(2) with RENAME_EXCHANGE; False where the kernel or the file system does not know it."""
    library = ctypes.CDLL(None, use_errno=True)
    arguments = (AT_FDCWD, os.fsencode(place), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    if hasattr(library, "renameat2"):
        failed = library.renameat2(*arguments)
    elif platform.machine() in _SYSTEM_CALLS:
        failed = library.syscall(_SYSTEM_CALLS[platform.machine()], *arguments)
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _NOT_SUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


def _exchange_by_renames(place: Path, other: Path) -> None:
    aside = aside_of(place)
    place.rename(aside)
    try:
        other.rename(place)
    except OSError:
        aside.rename(place)
        raise
    aside.rename(other)


def aside_of(place: Path) -> Path:
    """Where ``place`` is during an exchange by renames; always the same, so any process can finish it."""
    return place.with_name(f"{place.name}.exchanging")


def _refusal(place: Path, other: Path, error: OSError) -> HubError:
    if error.errno == errno.EXDEV:
        return HubError(
            f"{place} and {other} are on different file systems and cannot be exchanged.",
            "Upgrade this environment in place.",
        )
    if error.errno == errno.EBUSY:
        return HubError(
            f"{place} or {other} is a mount point and cannot be exchanged.", "Upgrade it in place."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return HubError(
            f"{place.parent} may not be changed: {error.strerror}.",
            "Run as the user who owns it, or as root.",
        )
    return HubError(
        f"{place} and {other} cannot be exchanged: {error.strerror}.",
        "Correct that, then try again: nothing was moved.",
    )


def _sync_parents(*paths: Path) -> None:
    for folder in {path.parent for path in paths}:
        files.sync(folder)
