"""Linux namespaces of other processes: entered by a program that is about to start, or for a moment."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Callable

from .processes import PROC

#: linux/prctl.h
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
#: linux/sched.h, linux/mount.h
_CLONE_NEWNS = 0x20000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
#: A folder that every host has, for a moment that of a child's own files.
_PLACE = Path("/tmp")

#: All that a container has of its own, but for its processes; the file system last, with which /proc goes.
_OF_A_CONTAINER = ("ipc", "uts", "net", "mnt")


def entering(pid: int, network_of: int | None = None) -> Callable[[], None]:
    """What a child calls to be in the namespaces of a process, with no more privileges than that has.

    Its network is that of another process where one is named. Raises OSError when the process has ended.
    """
    owners = {**dict.fromkeys(_OF_A_CONTAINER, pid), "net": network_of or pid}
    allowed, no_new = _privileges(pid)
    library = ctypes.CDLL(None, use_errno=True)
    last = _last_capability()

    def enter() -> None:
        # All before the first: /proc is another one afterwards. The program that is started has none of them.
        for descriptor in [
            os.open(f"/proc/{owner}/ns/{name}", os.O_RDONLY) for name, owner in owners.items()
        ]:
            _set(library, descriptor)
        for capability in range(last + 1):
            if not allowed >> capability & 1:
                library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        if no_new:
            library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    return enter


def entering_network(pid: int, contents: Mapping[str, bytes]) -> Callable[[], None]:
    """What a child calls to be in the network of a process, where files of this host have other contents.

    Only the child sees them, by their paths. What this host does not have is left out. Raises OSError when
    the process has ended.
    """
    library = ctypes.CDLL(None, use_errno=True)
    there = {path: content for path, content in contents.items() if os.path.exists(path)}

    def enter() -> None:
        _set(library, os.open(f"/proc/{pid}/ns/net", os.O_RDONLY))
        _call(library.unshare, _CLONE_NEWNS)
        _call(library.mount, b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        # A file system of its own, which nobody else sees and which goes with the last program in it.
        _call(library.mount, b"tmpfs", bytes(_PLACE), b"tmpfs", 0, b"mode=0755,size=1m")
        for number, (path, content) in enumerate(there.items()):
            copy = _PLACE / str(number)
            copy.write_bytes(content)
            copy.chmod(0o644)
            _call(library.mount, bytes(copy), os.path.realpath(path).encode(), None, _MS_BIND, None)
        _call(library.umount2, bytes(_PLACE), _MNT_DETACH)

    return enter


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Make sockets in the network of another process, in this thread; they stay there.

    Raises OSError where that is not allowed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    with _opened("/proc/thread-self/ns/net") as own, _opened(f"/proc/{pid}/ns/net") as other:
        _set(library, other)
        try:
            yield
        finally:
            _set(library, own)


def is_shared(pid: int) -> bool:
    """Whether another process has the file system of this one's namespace."""
    own = _file_system(str(pid))
    return any(_file_system(name) == own for name in os.listdir(PROC) if name.isdigit() and name != str(pid))


def _file_system(pid: str) -> str:
    """What tells the mounts that a process sees from those of others; '' where it has ended."""
    try:
        return os.readlink(PROC / pid / "ns" / "mnt")
    except OSError:
        return ""


def connect(pid: int, address: tuple[str, int], timeout: float | None) -> socket.socket:
    """A connection from within the network of a process. Raises OSError."""
    with network_of(pid):
        return socket.create_connection(address, timeout)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _set(library: ctypes.CDLL, descriptor: int) -> None:
    _call(library.setns, descriptor, 0)


def _call(function: Callable[..., int], *arguments: object) -> None:
    """Call a function of the C library. Raises OSError where it says that it has failed."""
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _privileges(pid: int) -> tuple[int, bool]:
    """The set of capabilities that a process and its children may have, and whether these can gain none."""
    lines = (PROC / str(pid) / "status").read_text(errors="replace").splitlines()
    fields = {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    return int(fields["CapBnd"], 16), fields.get("NoNewPrivs") == "1"


def _last_capability() -> int:
    return int((PROC / "sys/kernel/cap_last_cap").read_text())
