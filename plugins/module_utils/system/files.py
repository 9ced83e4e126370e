"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import HubError
from .processes import birth, is_alive

CHUNK = 1024 * 1024


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def beginning(path: Path, most: int = CHUNK) -> str:
    """The first bytes of a file as text: of an ordinary one, for whoever owns it could have anything there.

    Raises FileNotFoundError where it is none, and other OSErrors where it cannot be read.
    """
    # A pipe that nobody writes into would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "It is no ordinary file", str(path))
        return file.read(most).decode("utf-8", "replace")


def free_space(folder: Path) -> int:
    """Return the bytes that an ordinary user may still write below a folder (statvfs)."""
    figures = os.statvfs(folder)
    return figures.f_bavail * figures.f_frsize


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, written to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Give a synced file its final name, durably; both names are on one file system."""
    sync(source)
    source.replace(target)
    sync(target.parent)
    if source.parent != target.parent:
        sync(source.parent)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[int]:
    """Open a folder and lock it, without writing a file; the kernel unlocks it when this process ends.

    Gives the descriptor. Raises BlockingIOError when the folder is locked, also by this process, and OSError
    when it cannot be opened, is a link, or its file system locks no folders.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Give a new, empty file of mode 0600 beside ``target``; it is gone afterwards unless it was renamed.

    One that a killed process has left there goes too: its name says whose it was.
    Raises HubError when the folder is missing or cannot be written.
    """
    prefix = f".{target.name[:200]}."
    writer = os.getpid()
    try:
        _remove_abandoned(target.parent, prefix)
        descriptor, name = tempfile.mkstemp(
            prefix=f"{prefix}{writer}-{birth(writer)}.", suffix=".part", dir=target.parent
        )
    except OSError as error:
        raise HubError(
            f"Cannot write into {target.parent}: {error.strerror}.",
            "Create the folder, or name one that may be written.",
        ) from error
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove what processes that have ended left of `scratch`, and what SQLite has put beside it."""
    part = re.compile(re.escape(prefix) + r"(\d+)-(\d+)\.[^.]+\.part")
    for name in os.listdir(folder):
        found = part.match(name)
        if found and not (birth(int(found[1])) == found[2] and is_alive(int(found[1]))):
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a whole file durably: temporary name, fsync, rename, fsync of the folder.

    A file that is there keeps its owner. Raises HubError when the folder cannot be written or is full.
    """
    with scratch(path) as part:
        try:
            part.write_bytes(content)
            dress(part, like=path)
            part.chmod(mode)
            rename(part, path)
        except OSError as error:
            raise HubError(
                f"Cannot write {path}: {error.strerror}.",
                "Check the disk's space, and owner and mode of the folder.",
            ) from error


def is_owned(path: Path, owner: tuple[int, int] | None, mode: int) -> bool:
    """Whether a file has this mode, and this user and group number (-1 for any)."""
    found = path.stat()
    uid, gid = owner or (-1, -1)
    return stat.S_IMODE(found.st_mode) == mode and uid in (-1, found.st_uid) and gid in (-1, found.st_gid)


def own(path: Path, owner: tuple[int, int] | None, mode: int) -> bool:
    """Give a file this mode, user and group; return whether it had others."""
    if is_owned(path, owner, mode):
        return False
    if owner:
        os.chown(path, *owner)
    path.chmod(mode)
    return True


def dress(path: Path, like: Path) -> None:
    """Give ``path`` the owner, group and mode of ``like``, where that exists and we may."""
    try:
        wanted = like.stat()
    except FileNotFoundError:
        return
    found = path.stat()
    if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
        os.chown(path, wanted.st_uid, wanted.st_gid)
    path.chmod(stat.S_IMODE(wanted.st_mode))
