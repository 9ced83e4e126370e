"""Processes of this host, as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

#: What is done while the hub serves gives way to it and to single-user servers.
NICE = 10
#: How long a process may take to execute another program: microseconds, unless no processor is free.
EXECUTING_SECONDS = 2.0
LOOK_SECONDS = 0.0002


@dataclass(frozen=True)
class Process:
    """A process and its command line."""

    pid: int
    argv: list[str]

    @property
    def folder(self) -> Path:
        return PROC / str(self.pid)

    def directory(self) -> str:
        """Its working directory. Raises OSError when it has ended, or belongs to another user."""
        link = self.folder / "cwd"
        try:
            return os.readlink(link)
        except PermissionError:
            return os.fsdecode(self._as_owner("readlink", "-n", str(link)))

    def environment(self) -> dict[str, str]:
        """The environment it was started with; may hold secrets. Raises OSError as `directory`."""
        file = self.folder / "environ"
        try:
            data = file.read_bytes()
        except PermissionError:
            data = self._as_owner("cat", str(file))
        entries = zero_separated(data)
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def descriptors(self) -> dict[int, str]:
        """What its open files are, by their numbers. Raises OSError as `directory`."""
        folder = self.folder / "fd"
        try:
            numbers = os.listdir(folder)
        except PermissionError:
            found = self._as_owner("find", str(folder), "-mindepth", "1", "-printf", "%f %l\\0")
            pairs = (entry.split(" ", 1) for entry in zero_separated(found))
            return {int(number): target for number, target in pairs}
        links = {}
        for number in numbers:
            with contextlib.suppress(FileNotFoundError):
                links[int(number)] = os.readlink(folder / number)
        return links

    def _as_owner(self, *argv: str) -> bytes:
        """Output of a program of the process' user: root in a container may not look at others' processes.

        Raises PermissionError where that user may not either, or we are not root.
        """
        owner = self.folder.stat()

        def become() -> None:
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)

        if os.geteuid() == 0 and owner.st_uid != 0:
            done = subprocess.run(
                argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=become, check=False
            )
            if done.returncode == 0:
                return done.stdout
        raise PermissionError(f"The process {self.pid} may not be looked at.")

    def user(self) -> int:
        """The number of its user. Raises OSError when it has ended."""
        return self.folder.stat().st_uid

    def accounts(self) -> tuple[int, int, tuple[int, ...]]:
        """The numbers of its user, its group and all its groups. Raises OSError when it has ended."""
        lines = (self.folder / "status").read_text(errors="replace").splitlines()
        fields = {name: value.split() for name, _colon, value in (line.partition(":") for line in lines)}
        groups = {int(number) for number in (fields["Gid"][0], *fields["Groups"])}
        return int(fields["Uid"][0]), int(fields["Gid"][0]), tuple(sorted(groups))

    def parent(self) -> int:
        """The number of the process that started it. Raises OSError when it has ended."""
        return int((self.folder / "stat").read_text().rpartition(")")[2].split()[1])

    def is_in_container(self) -> bool:
        """Whether it sees another file system than we do, so that its paths mean nothing here.

        Without root that is unknown for other users' processes, and the answer is no.
        """
        try:
            return not os.path.samestat(os.stat(self.folder / "root"), os.stat("/"))
        except OSError:
            return False


def processes(everywhere: bool = False) -> Iterator[Process]:
    """Every process of this host whose command line may be read; ``everywhere`` those in containers, too."""
    for name in os.listdir(PROC):
        if name.isdigit():
            process = process_of(int(name))
            if process and (everywhere or not process.is_in_container()):
                yield process


def process_of(pid: int) -> Process | None:
    """The process of that number; None when it has ended, or is the kernel's."""
    folder = PROC / str(pid)
    try:
        deadline = time.monotonic() + EXECUTING_SECONDS
        while time.monotonic() < deadline:
            argv = zero_separated((folder / "cmdline").read_bytes())
            if argv:
                return Process(pid, argv)
            # What has ended or is the kernel's has no program; the others have no arguments for a moment.
            os.readlink(folder / "exe")
            time.sleep(LOOK_SECONDS)
    except OSError:
        return None
    return None


def family(pid: int) -> Iterator[Process]:
    """The process of that number, then all that it and its children started."""
    process = process_of(pid)
    if process is None:
        return
    yield process
    for thread in (process.folder / "task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from family(int(child))


def started_at(pid: int) -> float:
    """When the process was started, in seconds since the epoch. Raises OSError when it has ended."""
    ticks = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def age(pid: int) -> float:
    """For how many seconds a process has run; 0 once it has ended."""
    try:
        return time.time() - started_at(pid)
    except OSError:
        return 0.0


def birth(pid: int) -> str:
    """When a process was started, which tells it from others of the same number; '' once it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that has ended and only waits to be reaped does not."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def succeeded(argv: Sequence[str], timeout: float = 20) -> subprocess.CompletedProcess[str] | None:
    """What a program has printed as text; None where it does not run, fails, or takes longer (seconds)."""
    try:
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done


def version_of_python(python: str) -> str:
    """The version of an interpreter, such as ``3.11.2``; '' where it does not run."""
    done = succeeded([python, "-I", "-S", "-c", "import platform; print(platform.python_version())"])
    return done.stdout.strip() if done else ""


def zero_separated(data: bytes) -> list[str]:
    """``a\\0b\\0`` as a list; nothing from nothing."""
    return os.fsdecode(data).rstrip("\0").split("\0") if data else []
