"""Work that root has done as another user of the host, in a process of its own.

A process that forks must have no other threads, which this one may have. So one with a single thread is made
when the first user comes, and all others are made from it. Each is its user's from its first moment: user,
group, groups, home and variables are set before it reads what it is to do. It can do nothing for root but
what `ask` allows, and nobody can look into it, although it is that user's: the kernel forbids that for
a process that has been root's.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import io
import json
import os
import pickle
import signal
import socket
import stat
import tempfile
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..errors import HubError
from ..progress import Progress
from ..shapes import plain
from .execution_context import PR_SET_PDEATHSIG, Account

#: What a process asks root for, by a name and its arguments; the answer is what JSON has. Raises OSError.
Answer = Callable[..., Any]

_ORDINARY_UMASK = 0o022
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Work:
    """A function and its arguments; ``variables`` are all it has but those of its user.

    ``descriptor`` is open: a folder that it works in, or a file that is its standard input and output.
    """

    function: Callable[..., Any]
    arguments: Sequence[Any]
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    descriptor: int = -1


class Person:
    """What the function of a `Work` has of root: it can tell how far it is, and ask."""

    def __init__(self, stream: io.BufferedRWPair) -> None:
        self._stream = stream

    def ask(self, what: str, *arguments: str) -> Any:
        """Root's answer. Raises OSError as root has met it."""
        self.send({"ask": what, "arguments": arguments})
        answer = self.answer()
        if "errno" in answer:
            raise OSError(answer["errno"], answer["strerror"], answer["filename"])
        return answer["answer"]

    def answer(self) -> dict[str, Any]:
        """What root says to a message that has an answer."""
        answer: dict[str, Any] = json.loads(self._stream.readline())
        return answer

    def send(self, message: dict[str, Any]) -> None:
        _send(self._stream, message)


class RelayedProgress(Progress):
    """Progress of such a process, which root writes where the administrator reads it."""

    def __init__(self, person: Person) -> None:
        super().__init__()
        self._person = person

    def __call__(self, line: str) -> None:
        self._person.send({"line": line})
        # The work goes on once it is written, as that of this process does.
        self._person.answer()


def call(account: Account, work: Work, progress: Progress, answer: Answer | None = None) -> Any:
    """What a function returns, as JSON has it, when the user ``account`` runs it.

    The function gets a `Person`, a `Progress` and its arguments. Raises HubError as it does, and where the
    process ends before that.
    """
    with _connected(work.descriptor) as channel, channel.makefile("rwb") as stream:
        person = (account.uid, account.gid, account.groups)
        pickle.dump((person, {**work.variables, **account.names}), stream)
        pickle.dump((work.function, tuple(work.arguments)), stream)
        stream.flush()
        for line in stream:
            message = json.loads(line)
            if "line" in message:
                progress(message["line"])
                _send(stream, {})
            elif "ask" in message:
                _send(stream, _answered(answer, message))
            elif "failed" in message:
                raise HubError(*message["failed"])
            elif "crashed" in message:
                reason = message["crashed"].strip().splitlines()[-1]
                raise HubError(
                    f"A process that worked as {account.name} has failed: {reason}.",
                    "Try again when nobody else works there.",
                    {"exception": message["crashed"]},
                )
            else:
                return message["done"]
    raise HubError(
        f"A process that worked as {account.name} has ended before its work.",
        "See why in the log of the host's kernel, such as that memory was short; then try again.",
    )


def _send(stream: io.BufferedRWPair, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def get_ready() -> None:
    """Make the process from which those of users are made, before this one has threads."""
    with _LOCK:
        _Forker.get()


def _answered(answer: Answer | None, message: dict[str, Any]) -> dict[str, Any]:
    if answer is None:
        raise AssertionError("A process asks, and nobody answers.")
    try:
        return {"answer": answer(message["ask"], *message["arguments"])}
    except OSError as error:
        return {"errno": error.errno, "strerror": error.strerror, "filename": str(error.filename)}


def _connected(descriptor: int) -> socket.socket:
    """A connection to a new process."""
    ours, theirs = socket.socketpair()
    with theirs, _LOCK:
        passed = [theirs.fileno(), *([descriptor] if descriptor >= 0 else [])]
        _Forker.get().control.sendmsg(
            [b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))]
        )
    return ours


class _Forker:
    """The process with one thread. It ends with this one, and all that it has made end with it."""

    made: _Forker | None = None

    def __init__(self) -> None:
        self.maker = os.getpid()
        self.control, theirs = socket.socketpair()
        if os.fork() == 0:
            try:
                _fork_for(theirs)
            finally:
                os._exit(0)
        theirs.close()

    @classmethod
    def get(cls) -> _Forker:
        if cls.made is None or cls.made.maker != os.getpid():
            cls.made = cls()
        return cls.made


def _fork_for(control: socket.socket) -> None:
    """Make a process for each connection that comes."""
    _leave_all(control.fileno())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # The kernel takes those that have ended away; each of them waits for its own children again.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    made_by = os.getpid()
    while True:
        word, messages, _flags, _address = control.recvmsg(
            1, socket.CMSG_SPACE(2 * array.array("i").itemsize)
        )
        if not word:
            return
        passed = array.array("i")
        for _level, _kind, data in messages:
            passed.frombytes(data)
        if os.fork() == 0:
            control.close()
            for each in passed:
                os.set_inheritable(each, False)
            try:
                _work(socket.socket(fileno=passed[0]), passed[1:], made_by)
            finally:
                os._exit(0)
        for each in passed:
            os.close(each)


def _leave_all(kept: int) -> None:
    """Keep nothing of the process that this one was made of open but one descriptor; output goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):  # The folder that was listed is closed already.
                os.close(number)


def _take(descriptor: int) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.fchdir(descriptor)
    else:
        os.dup2(descriptor, 0)
        os.dup2(descriptor, 1)
    os.close(descriptor)


def _work(channel: socket.socket, given: Sequence[int], made_by: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stream = channel.makefile("rwb")
    person = Person(stream)
    # Only root writes here until the process is the user's.
    (uid, gid, groups), variables = pickle.load(stream)
    _become(uid, gid, groups, made_by)
    for each in given:
        _take(each)
    os.environ.clear()
    os.environ.update(variables)
    try:
        function, arguments = pickle.load(stream)
        with tempfile.TemporaryDirectory(prefix="hubops-", dir="/tmp") as folder:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            if not os.path.isdir(os.environ["HOME"]):
                os.environ["HOME"] = folder
            done = function(person, RelayedProgress(person), *arguments)
        person.send({"done": plain(done)})
    except HubError as error:
        person.send({"failed": [error.message, error.hint, plain(error.results)]})
    except BaseException:
        person.send({"crashed": traceback.format_exc()})


def _become(uid: int, gid: int, groups: Sequence[int], made_by: int) -> None:
    # A terminal of root's is not the user's to type into.
    os.setsid()
    os.chdir("/")
    os.umask(_ORDINARY_UMASK)
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # After the user was changed, which forgets it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != made_by or uid == 0 or os.getresuid() != (uid, uid, uid):
        os._exit(1)
