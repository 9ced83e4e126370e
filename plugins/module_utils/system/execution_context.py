"""ExecutionContext: user, directory and environment variables in which a hub's service runs."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import signal
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Callable, ClassVar, Sequence, Union

from ..errors import HubError
from .processes import Process

#: linux/prctl.h
PR_SET_PDEATHSIG = 1

#: Variables that lead programs into an environment.
_SEARCH_PATHS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX")

Stream = Union[int, IO[str], IO[bytes], None]

NEEDS_ROOT = "Run the task as root: set `ansible_become: true` for the host, or use `ansible-playbook -b`."


@dataclass(frozen=True)
class ContainerUser:
    """Whose programs of the host reach what a hub's container reaches."""

    container: str
    """The container's name."""
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    """In the container."""


@dataclass(frozen=True)
class ExecutionContext:
    """Where and as whom the hub runs; whatever of the hub's we run, runs in them too.

    ``environment`` is the whole environment, nothing is inherited. Its values may be secrets, so ``repr``
    hides them.
    """

    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    directory: str
    environment: dict[str, str] = field(repr=False)
    umask: int = 0o022
    #: Whether programs in it have the host's own files.
    sees_host: ClassVar[bool] = True

    @property
    def path(self) -> str:
        """The PATH of the service, or the one Python itself would assume."""
        return self.environment.get("PATH", os.defpath)

    def of_user(self, user: str) -> ExecutionContext:
        """The same for another user, with the home and the names that programs find in the environment.

        Raises HubError when there is no such user.
        """
        entry = account(user)
        return entry.context(self.directory, {**self.environment, **entry.names}, self.umask)

    def of_process(self, process: Process) -> ExecutionContext:
        """User, directory and variables of a running process.

        Raises PermissionError where it is another user's, and HubError where its user has no account.
        """
        user = process.user()
        inside = self if user == self.uid else self.of_user(str(user))
        return replace(inside, directory=process.directory(), environment=process.environment())

    def relocated(self, places: dict[str, str]) -> ExecutionContext:
        """The same, where search paths into a folder of ``places`` lead to the one that it names instead."""
        changed = {
            name: os.pathsep.join(
                relocated(part, places) for part in self.environment[name].split(os.pathsep)
            )
            for name in _SEARCH_PATHS
            if name in self.environment
        }
        return replace(self, environment={**self.environment, **changed})

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,
        source: IO[bytes] | None = None,
        target: IO[bytes] | None = None,
        pass_fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` to its end and capture its output as text; the exit status is the caller's to judge.

        It reads ``input``, or the open file ``source``, and writes into the open file ``target`` where there
        is one: the hub's user need not be able to open those.
        If this process is killed, the program is killed too, since no process waits for its effects any more.
        Raises HubError when the program cannot be started or takes longer than ``timeout`` seconds.
        """
        process = self.start(
            argv,
            stdin=source or (subprocess.DEVNULL if input is None else subprocess.PIPE),
            stdout=target or subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            outlives_us=False,
        )
        with process:
            try:
                stdout, stderr = process.communicate(input, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise HubError(
                    f"{argv[0]} did not end within {timeout:g} seconds.",
                    "Run it manually as the service's user and see what it waits for.",
                ) from None
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)

    def start(
        self,
        argv: Sequence[str],
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
        outlives_us: bool = True,
    ) -> subprocess.Popen[str]:
        """Start ``argv`` and return at once; it inherits the descriptors ``pass_fds``.

        Raises HubError when that is not possible.
        """
        enter = self._entering(argv)
        become = self._become(outlives_us)

        def prepare() -> None:
            enter()
            become()

        try:
            return subprocess.Popen(
                [self.inside(word) for word in argv],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                env=self.environment,
                text=True,
                errors="replace",
                preexec_fn=prepare,
            )
        except FileNotFoundError:
            raise HubError(
                f"{argv[0]} was not found on the service's PATH ({self.path}).",
                "Install it there, or add its folder to the PATH of the service.",
            ) from None
        except (PermissionError, subprocess.SubprocessError) as error:
            raise HubError(
                f"{argv[0]} could not be started as user {self.user}: {error}.",
                "Compare owner and mode of the program and its folders.",
            ) from error

    def program(self, name: str) -> Path | None:
        """The program that a name, or a path, is for programs in this context, as `on_host` has it."""
        return find_program(name, self.path)

    def on_host(self, path: str) -> str:
        """The path on the host of what programs in this context have at the absolute ``path``."""
        return path

    def kept(self, path: str) -> str:
        """The same of what has to outlive the service. Raises HubError where it would not."""
        return self.on_host(path)

    def inside(self, path: str) -> str:
        """The path by which programs in this context find what the host has at ``path``."""
        return path

    @property
    def scratch_place(self) -> str:
        """A folder of the host in which what programs in this context write is found by the same path."""
        return self.directory

    @property
    def container_user(self) -> ContainerUser | None:
        """The container that programs run in, and as whom; None where they run on the host."""
        return None

    def neighbour(self, host: str) -> ExecutionContext | None:
        """That of the container which programs in this one reach as ``host``; None where it is none."""
        return None

    def outliving(self) -> ExecutionContext:
        """The same for programs that go on when the service has stopped."""
        return self

    def address(self, host: str) -> str:
        """The name by which this host reaches what listens at the address ``host`` of this context."""
        return host

    def _entering(self, argv: Sequence[str]) -> Callable[[], None]:
        """What the child does to be where ``argv`` is to run. Raises HubError where that is not possible."""
        if not Path(self.directory).is_dir():
            raise HubError(
                f"The working directory {self.directory} of the service does not exist or cannot be read.",
                "Make it, or correct it in the service's definition.",
            )
        return lambda: os.chdir(self.directory)

    def _become(self, outlives_us: bool) -> Callable[[], None]:
        """What the child does before it becomes the program. (Popen's own ``user=`` needs Python 3.9.)"""
        changes_user = os.geteuid() != self.uid
        if changes_user and os.geteuid() != 0:
            raise HubError(
                f"The hub runs as user {self.user}, and only root can act as that user.", NEEDS_ROOT
            )

        library = ctypes.CDLL(None)

        def become() -> None:
            os.umask(self.umask)
            if changes_user:
                os.setgroups(self.groups)
                os.setgid(self.gid)
                os.setuid(self.uid)
            if not outlives_us:
                # After the user was changed, which forgets it.
                library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        return become


@dataclass(frozen=True)
class Account:
    """A user of this host, with the groups that a service of that user gets."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    """All of them, with ``gid``."""
    home: str
    shell: str

    @property
    def names(self) -> dict[str, str]:
        """Under which variables programs look for user and home."""
        return {"HOME": self.home, "LOGNAME": self.name, "USER": self.name}

    def context(
        self, directory: str, environment: dict[str, str], umask: int = ExecutionContext.umask
    ) -> ExecutionContext:
        """Where and as whom a program of this user runs."""
        return ExecutionContext(
            user=self.name,
            uid=self.uid,
            gid=self.gid,
            groups=self.groups,
            home=self.home,
            directory=directory,
            environment=environment,
            umask=umask,
        )


def relocated(path: str, places: dict[str, str]) -> str:
    """A path within a folder of ``places`` in the one that it names instead; any other as it is."""
    for place, folder in places.items():
        if path == place or path.startswith(f"{place}/"):
            return folder + path[len(place) :]
    return path


def find_program(name: str, search_path: str) -> Path | None:
    """An absolute path as it is, a bare name as found on ``search_path``; None when it is not there."""
    if os.path.isabs(name):
        return Path(name) if Path(name).is_file() else None
    for folder in search_path.split(os.pathsep):
        candidate = Path(folder, name)
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    return None


def account(user: str, group: str = "", more_groups: Sequence[str] = ()) -> Account:
    """The account of ``user`` (name or number), whose service has another ``group``, and more of them.

    Raises HubError when there is no such user or group.
    """
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise HubError(
            f"The service's user {user} does not exist on this host.",
            "Make that user, or correct the service.",
        ) from None
    gid = _group_number(group) if group else entry.pw_gid
    numbers = {*os.getgrouplist(entry.pw_name, gid), *(_group_number(name) for name in more_groups)}
    return Account(entry.pw_name, entry.pw_uid, gid, tuple(sorted(numbers)), entry.pw_dir, entry.pw_shell)


def group_name(gid: int) -> str:
    """The group's name, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _group_number(group: str) -> int:
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise HubError(
            f"The service's group {group} does not exist on this host.",
            "Make that group, or correct the service.",
        ) from None
