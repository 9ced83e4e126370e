"""The hub of a rehearsal: a process with children that end with it, and leave nothing."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..databases.base import Database
from ..databases.migration import python_of
from ..deployment.config import LoadedConfig
from ..errors import HubError
from ..hub import api, logs
from ..hub.facts import ProxyFacts
from ..hub_scripts import rehearsed_app
from ..services.command_line import HubCommand
from ..system.execution_context import ExecutionContext, relocated
from ..system.processes import NICE, processes
from ..system.source import source_of

LOG = "hub.log"
KNOWN = "known.json"
#: Environment variable of all processes of a rehearsal; its value is the rehearsal's folder.
MARKER = "HUBOPS_REHEARSAL"
POLL_SECONDS = 0.05
STOP_SECONDS = 20
#: Starts the proxy so that it ends with the hub, however that ends.
_END_WITH_HUB = (
    "import ctypes, os, signal, sys\n"
    f"ctypes.CDLL(None).prctl({rehearsed_app.PR_SET_PDEATHSIG}, signal.SIGKILL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
LOOPBACK = "127.0.0.1"
DEFAULT_PROXY = "configurable-http-proxy"


class HubExited(HubError):
    """The hub of the rehearsal ended by itself."""


class NoAnswer(HubError):
    """It runs, and does not answer."""


@dataclass(frozen=True)
class Wanted:
    """What is to be booted: see rehearsed_app.py for the words."""

    python: str
    script: str
    arguments: list[str]
    db_url: str
    base_url: str
    proxy: dict[str, Any] | None
    single_user: list[str]
    single_user_arguments: list[str]
    scopes: list[str]
    seconds: float


def without_servers(
    environment: str,
    command: HubCommand | None,
    config: LoadedConfig,
    db_url: str,
    context: ExecutionContext,
    seconds: float,
    scopes: Sequence[str] = (),
) -> Wanted:
    """The hub of an environment as it is in its place, of which no single-user server is started.

    Raises HubError as `proxy_of`, and where the environment has no Python.
    """
    python = python_of(environment)
    return Wanted(
        python=python,
        script=f"{environment}/bin/jupyterhub",
        arguments=command.arguments if command else [],
        db_url=db_url,
        base_url=config.base_url,
        proxy=proxy_of(config.proxy, python, context, {}),
        single_user=[],
        single_user_arguments=[],
        scopes=list(scopes),
        seconds=seconds,
    )


class RehearsedHub:
    """A hub that was started in a folder of its own."""

    def __init__(
        self,
        process: subprocess.Popen[str],
        folder: Path,
        wanted: Wanted,
        request: dict[str, Any],
        address: str,
    ):
        self._process = process
        self._folder = folder
        self.token: str = request["token"]
        self.name: str = request["name"]
        base = wanted.base_url
        self.api_url = f"http://{address}:{request['hub_port']}{base}hub/api"
        #: The address for users: through the proxy, if there is one.
        port = request["public_port"] if wanted.proxy else request["hub_port"]
        self.url = f"http://{address}:{port}{base}"
        self.has_proxy = wanted.proxy is not None

    def wait_until_it_answers(self, timeout: float) -> str:
        """The version that it answers, itself and through its proxy, which learns its address a little later.

        Raises HubExited or NoAnswer.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            version = api.version(self.api_url)
            if version and api.version(f"{self.url}hub/api"):
                return version
            if self._process.poll() is not None:
                raise HubExited(f"The new hub exited at its start, with status {self._process.returncode}.")
            time.sleep(POLL_SECONDS)
        raise NoAnswer(f"The new hub was started, and did not answer within {timeout:.0f} s.")

    def has_exited(self) -> bool:
        return self._process.poll() is not None

    def log(self) -> list[str]:
        """The output of the hub and its children."""
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        return []

    def log_end(self) -> str:
        return logs.end(self.log())

    def known(self) -> dict[str, Any]:
        """What only the hub itself knows of its config; empty where it did not come so far."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return dict(json.loads((self._folder / KNOWN).read_text(encoding="utf-8")))
        return {}

    def stop(self) -> float:
        """Stop it as its service manager would; the seconds that it took."""
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        return time.monotonic() - began


@contextlib.contextmanager
def booted(wanted: Wanted, context: ExecutionContext, folder: Path) -> Iterator[RehearsedHub]:
    """A hub that has just been started; neither it nor a child of it is there afterwards.

    They end with this process, too, should it be killed.
    """
    public_port, api_port, hub_port = _free_ports(3)
    name = f"hubops-rehearsal-{secrets.token_hex(4)}"
    request = {
        "script": context.inside(wanted.script),
        "arguments": wanted.arguments,
        "folder": str(folder),
        "db_url": wanted.db_url,
        "base_url": wanted.base_url,
        "public_port": public_port,
        "api_port": api_port,
        "hub_port": hub_port,
        "proxy": wanted.proxy,
        "proxy_token": secrets.token_hex(16),
        "token": secrets.token_hex(16),
        "name": name,
        "scopes": wanted.scopes,
        "single_user": [context.inside(word) for word in wanted.single_user],
        "single_user_arguments": wanted.single_user_arguments,
        "seconds": int(wanted.seconds),
        "marker": MARKER,
        "nice": NICE,
    }
    descriptor = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as log:
        process = context.start(
            [wanted.python, "-B", "-c", source_of(rehearsed_app)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            outlives_us=False,
        )
    try:
        with contextlib.suppress(BrokenPipeError):
            if process.stdin is None:
                raise AssertionError("The hub of the rehearsal has no pipe.")
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.close()
        yield RehearsedHub(process, folder, wanted, request, context.address(LOOPBACK))
    finally:
        process.kill()
        process.wait()
        end_leftovers(folder)


def end_leftovers(folder: Path) -> int:
    """End the processes of a rehearsal in this folder, also of one that was killed; how many there were."""
    ended = 0
    for process in processes(everywhere=True):
        with contextlib.suppress(OSError):
            if process.environment().get(MARKER) == str(folder):
                os.kill(process.pid, signal.SIGKILL)
                ended += 1
    return ended


def tidy(database: Database) -> None:
    """Remove the leftovers of killed rehearsals on a copy of this database.

    Raises HubError when one is at work.
    """
    end_leftovers(database.scratch_folder)
    database.remove_scratch()


def proxy_of(
    proxy: ProxyFacts, python: str, context: ExecutionContext, staged: dict[str, str]
) -> dict[str, Any] | None:
    """The proxy for the hub of a rehearsal; None where the real one cannot be started a second time.

    ``proxy`` is its part of the config, ``staged`` the folder of each new environment by the path that it
    is going to have, where the paths of ``context`` lead already. Raises HubError where its program is not on
    the service's PATH.
    """
    if not proxy.managed or not proxy.class_name.endswith("ConfigurableHTTPProxy"):
        return None
    command = proxy.command or [DEFAULT_PROXY]
    found = context.program(relocated(command[0], staged))
    if found is None:
        raise HubError(
            f"The proxy {command[0]} was not found on the service's PATH ({context.path}).",
            "Install it there (`npm install -g configurable-http-proxy`), or name its path in "
            "ConfigurableHTTPProxy.command.",
        )
    started = [*as_program(str(found), staged), *command[1:]]
    words = [python, "-I", "-S", "-c", _END_WITH_HUB, *started]
    return {"class_name": proxy.class_name, "command": [context.inside(word) for word in words]}


def as_program(path: str, staged: dict[str, str]) -> list[str]:
    """How to run a program of a staged environment: its scripts name the Python of their place to be."""
    real = relocated(os.path.realpath(path), {os.path.realpath(place): new for place, new in staged.items()})
    for folder in staged.values():
        if real.startswith(f"{folder}/bin/"):
            with Path(real).open("rb") as file:
                head = file.read(300)
            is_script = head.startswith(b"#!") and b"python" in head
            return [f"{folder}/bin/python", real] if is_script else [real]
    return [path]


def _free_ports(count: int) -> list[int]:
    """Free ports of the loopback interface, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _number in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
