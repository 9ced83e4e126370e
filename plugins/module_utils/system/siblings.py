"""Folders beside each other: an environment, the copy of it, and the one it has replaced.

Their names are changed in the folder around them. That may be root's while the environments are somebody
else's; then the process that works for their owner has root do it, which does nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import stat
from pathlib import Path
from typing import Callable

#: linux/fs.h and linux/fcntl.h
RENAME_EXCHANGE = 2
AT_FDCWD = -100
#: Numbers of renameat2 for C libraries that have no function for it (glibc before 2.28, musl).
_SYSTEM_CALLS = {"x86_64": 316, "aarch64": 276, "ppc64le": 357, "s390x": 347, "riscv64": 276}
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)

#: Asks for a change by its name (`Family.change`) and the names of folders; what it gives is the answer.
Ask = Callable[..., bool]


class Family:
    """The folders beside ``place`` that have its name and more, in a folder around them that is open.

    No name leads out of that folder: what `change` does to a link it does to the link itself.
    """

    def __init__(self, place: Path, owner: tuple[int, int]) -> None:
        self._name, self._owner = place.name, owner
        self._at = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        os.close(self._at)

    def change(self, what: str, *names: str) -> bool:
        """Make, rename, exchange or remove; False where the file system cannot exchange.

        Raises OSError, also for a name that is none of the family's.
        """
        changes: dict[str, Callable[..., bool]] = {
            "make": self._make,
            "rename": self._rename,
            "exchange": self._exchange,
            "remove": self._remove,
        }
        if what not in changes or not all(map(self._is_one, names)):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), " ".join(names))
        return changes[what](*names)

    def _is_one(self, name: str) -> bool:
        """Whether a name is one of the family's, and what has it the owner's, or a link."""
        if "/" in name or not (name == self._name or name.startswith(f"{self._name}.")):
            return False
        try:
            found = os.lstat(name, dir_fd=self._at)
        except FileNotFoundError:
            return True
        return found.st_uid == self._owner[0] or stat.S_ISLNK(found.st_mode)

    def _make(self, name: str) -> bool:
        os.mkdir(name, mode=0o755, dir_fd=self._at)
        os.chown(name, *self._owner, dir_fd=self._at, follow_symlinks=False)
        return True

    def _rename(self, name: str, new: str) -> bool:
        os.rename(name, new, src_dir_fd=self._at, dst_dir_fd=self._at)
        return True

    def _exchange(self, name: str, other: str) -> bool:
        return _exchange(self._at, name, self._at, other)

    def _remove(self, name: str) -> bool:
        if stat.S_ISDIR(os.lstat(name, dir_fd=self._at).st_mode):
            os.rmdir(name, dir_fd=self._at)
        else:
            os.unlink(name, dir_fd=self._at)
        return True


class _Around:
    """Who changes names: this process, but in the folder ``parent`` somebody who is asked."""

    parent: Path | None = None
    ask: Ask | None = None


def ask_for(parent: Path, ask: Ask) -> None:
    """From now on have changes of names in the folder ``parent`` made by who is asked."""
    _Around.parent, _Around.ask = parent, ask


def _asked(*paths: Path) -> Ask | None:
    return _Around.ask if _Around.parent in {path.parent for path in paths} else None


def may_make(path: Path) -> bool:
    """Whether something can be made at a path."""
    return _asked(path) is not None or os.access(path.parent, os.W_OK)


def prepare(path: Path) -> None:
    """Make an empty folder where this process could not make one; else nothing."""
    ask = _asked(path)
    if ask:
        ask("make", path.name)


def rename(source: Path, target: Path) -> None:
    """Give a folder another name on its file system. Raises OSError."""
    ask = _asked(source, target)
    if ask:
        ask("rename", source.name, target.name)
    else:
        source.rename(target)


def exchange(place: Path, other: Path) -> bool:
    """renameat2(2) with RENAME_EXCHANGE; False where the kernel or the file system does not know it.

    Raises OSError.
    """
    ask = _asked(place, other)
    if ask:
        return ask("exchange", place.name, other.name)
    return _exchange(AT_FDCWD, str(place), AT_FDCWD, str(other))


def remove(path: Path) -> None:
    """Remove a folder with everything in it, or a link. Raises OSError."""
    if _asked(path) is None:
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
        return
    _empty(path, ignore_errors=False)
    _ask_to_remove(path)


def remove_what_can_be(path: Path) -> None:
    """Remove as much of a folder as is possible, and say nothing about the rest."""
    if _asked(path) is None:
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        _empty(path, ignore_errors=True)
        _ask_to_remove(path)


def _empty(folder: Path, ignore_errors: bool) -> None:
    if folder.is_symlink():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors)
            else:
                os.unlink(entry.path)


def _ask_to_remove(path: Path) -> None:
    ask = _asked(path)
    if ask:
        ask("remove", path.name)


def _exchange(at: int, name: str, other_at: int, other: str) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    arguments = (at, os.fsencode(name), other_at, os.fsencode(other), RENAME_EXCHANGE)
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
