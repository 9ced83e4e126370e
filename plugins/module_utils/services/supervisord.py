"""supervisord programs that run a hub.

What supervisord would make of its config is worked out here as its own ``options.py`` (4.x) does it:
includes, ``%(here)s`` of the file a line stands in, ``%(ENV_x)s`` of supervisord's own environment.
"""

from __future__ import annotations

import configparser
import contextlib
import glob
import http.client
import os
import platform
import shlex
import signal
import socket
import time
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from ..errors import HubError
from ..system.execution_context import NEEDS_ROOT, ExecutionContext, account
from ..system.processes import Process, family, is_alive, processes
from .base import STOP_FIX, DoesNotStop, Service
from .command_line import runs_hub
from .facts import ServiceFacts

_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 30
_STATES = {
    "RUNNING": "running",
    "STOPPING": "stopping",
    "STARTING": "starting",
    "BACKOFF": "starting",
    "FATAL": "failed",
    "STOPPED": "stopped",
}
# Numbers of xmlrpc faults (supervisor.xmlrpc.Faults).
_ALREADY_STARTED = 60
_NOT_RUNNING = 70


@dataclass(frozen=True)
class Supervisor:
    """One running supervisord and its config. ``environment`` may hold secrets, so ``repr`` hides it."""

    pid: int
    uid: int
    directory: str
    config: Path
    environment: dict[str, str] = field(repr=False)
    sections: configparser.RawConfigParser = field(repr=False)
    files: dict[str, str]
    """The config file in which each section stands."""

    def get(self, section: str, option: str, default: str = "", **names: str) -> str:
        """An option's value with its ``%(...)s`` replaced. Raises HubError when one has no value."""
        text = self.sections.get(section, option, fallback=default)
        known = {
            **{f"ENV_{name}": value for name, value in self.environment.items()},
            "here": str(self.config.parent),
            "host_node_name": platform.node(),
            **names,
        }
        try:
            return text % known
        except (KeyError, ValueError, TypeError) as error:
            raise HubError(
                f"{self.config}: {option} of [{section}] cannot be expanded: {error}.",
                "Correct it there: supervisord itself would refuse it.",
            ) from None

    def variables(self, section: str, **names: str) -> dict[str, str]:
        """The ``environment`` of a section: ``NAME="value",OTHER=value``."""
        lexer = shlex.shlex(self.get(section, "environment", **names))
        lexer.wordchars += "/.+-():"
        words = list(lexer)
        return {name: value.strip("'\"") for name, value in zip(words[0::4], words[2::4])}

    def url(self) -> str:
        """Where it answers: ``unix:///run/supervisor.sock`` or ``http://127.0.0.1:9001``, never a password.

        Raises HubError when it answers nowhere.
        """
        for section in self.sections.sections():
            if section.startswith("unix_http_server"):
                return "unix://" + os.path.abspath(os.path.expanduser(self.get(section, "file").strip()))
            if section.startswith("inet_http_server"):
                host, _colon, port = self.get(section, "port").rpartition(":")
                return f"http://{'127.0.0.1' if host in ('', '*', '0.0.0.0') else host}:{port}"
        raise HubError(
            f"The supervisord of {self.config} cannot be reached.",
            "Give it a [unix_http_server] section and [rpcinterface:supervisor].",
        )

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of supervisord's XML-RPC interface. Raises xmlrpc.client.Fault, or HubError."""
        url = self.url()
        section = next(name for name in self.sections.sections() if name.startswith(_SERVERS[url[:4]]))
        login = ""
        if self.sections.has_option(section, "username"):
            password = self.get(section, "password")
            login = f"{quote(self.get(section, 'username'), '')}:{quote(password, '')}@"
        host = "localhost" if url.startswith("unix:") else url[len("http://") :]
        proxy = xmlrpc.client.ServerProxy(f"http://{login}{host}/RPC2", transport=_Transport(url))
        try:
            with proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.ProtocolError as error:
            raise HubError(
                f"supervisord at {url} answers {error.errcode} {error.errmsg}.",
                "Compare its address and password in its config with those it was started with.",
            ) from None
        except PermissionError:
            raise HubError(f"supervisord at {url} may not be talked to by this user.", NEEDS_ROOT) from None
        except OSError as error:
            raise HubError(
                f"supervisord at {url} does not answer: {error}.",
                "Start it, or correct its address in its config.",
            ) from None


_SERVERS = {"unix": "unix_http_server", "http": "inet_http_server"}


class _Connection(http.client.HTTPConnection):
    def __init__(self, socket_file: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self.socket_file = socket_file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWER_SECONDS)
        self.sock.connect(self.socket_file)


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket or TCP, with a limit to the wait for an answer."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        address, self._extra_headers, _tls = self.get_host_info(host)
        if self.url.startswith("unix://"):
            return _Connection(self.url[len("unix://") :])
        return http.client.HTTPConnection(address, timeout=_ANSWER_SECONDS)


@dataclass(frozen=True)
class Program:
    """One process as configured: a ``[program:x]`` section, and the group it belongs to."""

    supervisor: Supervisor
    section: str
    group: str
    process: str

    @property
    def name(self) -> str:
        """As supervisorctl prints it: ``group:process``, or ``process`` where both are the same."""
        return self.process if self.process == self.group else f"{self.group}:{self.process}"

    def get(self, option: str, default: str = "") -> str:
        """An option's value, expanded; the program's own variables are known in it as ``%(ENV_x)s``."""
        given = {f"ENV_{name}": value for name, value in self.variables().items()}
        return self.supervisor.get(self.section, option, default, **self._names(), **given)

    def variables(self) -> dict[str, str]:
        """What supervisord adds to its own environment for this process."""
        own = self.supervisor.variables(self.section, **self._names())
        return {**self.supervisor.variables("supervisord"), **own}

    def command(self) -> list[str]:
        return shlex.split(self.get("command"))

    def _names(self) -> dict[str, str]:
        return _names(self.section, self.group)


class SupervisordProgram(Service):
    """One process of a supervisord."""

    manager = "supervisord"

    def __init__(self, config: Path, name: str, program: Program | None = None) -> None:
        """``name`` as supervisorctl prints it; ``program`` is searched by its name when left out."""
        self.config = config
        self.name = name
        self._program = program

    @classmethod
    def find(cls, name: str | None = None) -> list[SupervisordProgram]:
        """Every program of a running supervisord on this host that runs a hub.

        Without root only the supervisords of one's own are looked at.
        """
        return [
            cls(supervisor.config, program.name, program)
            for supervisor in running_supervisors()
            for program in programs_of(supervisor)
            if name in (program.name, program.process) or _starts_hub(program) or _has_hub(program)
        ]

    @classmethod
    def of(cls, facts: ServiceFacts) -> SupervisordProgram:
        return cls(Path(facts.particulars["config"]), facts.name)

    @property
    def program(self) -> Program:
        """The program in a running supervisord. Raises HubError when there is none."""
        if self._program is None:
            running = [each for each in running_supervisors() if each.config == self.config]
            if not running:
                raise HubError(f"No supervisord runs with {self.config}.", "Start it, then try again.")
            named = [program for program in programs_of(running[0]) if program.name == self.name]
            if not named:
                raise HubError(
                    f"{self.config} has no program {self.name}.",
                    "`supervisorctl update` makes supervisord read its config again.",
                )
            self._program = named[0]
        return self._program

    @property
    def supervisor(self) -> Supervisor:
        return self.program.supervisor

    def _info(self) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", self.supervisor.call("getProcessInfo", self.name))
        except xmlrpc.client.Fault as fault:
            raise HubError(
                f"supervisord does not know the program {self.name} of {self.config}: {fault.faultString}.",
                f"Let it read its config: `supervisorctl -c {self.config} update`.",
            ) from None

    def state(self) -> str:
        return state_of(self._info())

    def main_pid(self) -> int | None:
        return int(self._info()["pid"]) or None

    def command(self) -> list[str]:
        return self.program.command()

    def configured_context(self) -> ExecutionContext:
        supervisor, program = self.supervisor, self.program
        environment = {
            **supervisor.environment,
            "SUPERVISOR_ENABLED": "1",
            "SUPERVISOR_SERVER_URL": supervisor.url(),
            "SUPERVISOR_PROCESS_NAME": program.process,
            "SUPERVISOR_GROUP_NAME": program.group,
            **program.variables(),
        }
        directory = os.path.expanduser(program.get("directory", supervisor.directory))
        return account(program.get("user") or str(supervisor.uid)).context(
            os.path.join(supervisor.directory, directory),
            environment,
            umask=int(program.get("umask") or supervisor.get("supervisord", "umask", "022"), 8),
        )

    def start(self) -> None:
        try:
            # Not waiting: supervisord would only answer after `startsecs`, in which the hub already serves.
            self.supervisor.call("startProcess", self.name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise HubError(
                    f"supervisord could not start {self.name}: {fault.faultString}.",
                    "`supervisorctl tail` shows its output.",
                ) from None

    def stop(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pid = self.main_pid()
        previous = ""
        while True:
            # Every call also makes supervisord look after its processes, which it does once a second else.
            state = str(self._info()["statename"])
            gone = pid is None or not is_alive(pid)
            # One that has exited by itself may be about to be started again, and is not on the second look.
            if gone and (state in ("STOPPED", "FATAL") or state == previous == "EXITED"):
                return
            if time.monotonic() > deadline:
                raise DoesNotStop(
                    f"{self.name} did not stop within {timeout:g} seconds; it is {state}.", STOP_FIX
                )
            if state in ("RUNNING", "STARTING", "BACKOFF"):
                self._ask_to_stop()
            previous = state
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        pid = self.main_pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ask_to_stop(self) -> None:
        try:
            self.supervisor.call("stopProcess", self.name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _NOT_RUNNING:
                raise HubError(
                    f"supervisord could not stop {self.name}: {fault.faultString}.",
                    "Stop it with supervisorctl, then try again.",
                ) from None

    def reread(self) -> None:
        """Nothing: supervisord would also stop and start whatever else has changed in its config."""

    def settle(self) -> None:
        """Nothing: a service has one hub."""

    def spare_servers(self) -> None:
        """Nothing: ``stopasgroup`` reaches none of them, nor the proxy, for each has a session of its own."""

    def end_sparing_servers(self) -> None:
        """Nothing, as before."""

    def install_hold(self, hold_file: Path) -> None:
        """Nothing to prepare: supervisord never starts a stopped program by itself.

        Only a new supervisord would, after a reboot, where ``autostart`` is on.
        """

    def _configured_log_files(self) -> list[str]:
        info = self._info()
        return [info.get("stderr_logfile", ""), info.get("stdout_logfile", "")]

    def _own_facts(self) -> dict[str, Any]:
        return {
            "environment_files": [],
            "enabled": self.program.get("autostart", "true").lower() in ("true", "yes", "on", "1"),
            "unit_file": self.supervisor.files[self.program.section],
            "manager_files": [str(self.config)],
            "particulars": {"config": str(self.config), "url": self.supervisor.url()},
        }


def _starts_hub(program: Program) -> bool:
    try:
        return runs_hub(program.command())
    except HubError:  # Changed since supervisord read it, which would refuse it now.
        return False


def _has_hub(program: Program) -> bool:
    """Whether a hub runs in the program, whatever its command says."""
    supervisor = program.supervisor
    if not any(runs_hub(process.argv) for process in family(supervisor.pid)):
        return False
    try:
        pid = supervisor.call("getProcessInfo", program.name)["pid"]
    except (HubError, xmlrpc.client.Fault):
        return False
    return bool(pid) and any(runs_hub(process.argv) for process in family(pid))


def running_supervisors() -> list[Supervisor]:
    """Every supervisord that runs on this host and may be looked at."""
    found = {}
    parents = {}
    for process in processes():
        if _is_supervisord(process.argv):
            try:
                found[process.pid] = _read_supervisor(process)
                parents[process.pid] = process.parent()
            except (OSError, configparser.Error):
                # It has ended meanwhile, belongs to another user, or its config was broken since.
                continue

    def is_fork(supervisor: Supervisor) -> bool:
        """Whether it is another one's child, which is about to become a program."""
        parent = found.get(parents.get(supervisor.pid, 0))
        return parent is not None and parent.config == supervisor.config

    return [supervisor for supervisor in found.values() if not is_fork(supervisor)]


def _is_supervisord(argv: list[str]) -> bool:
    script = argv[1:2] if os.path.basename(argv[0]).startswith("python") else argv[:1]
    if script and os.path.basename(script[0]) == "supervisord":
        return True
    return "-m" in argv and argv[argv.index("-m") + 1 :][:1] == ["supervisor.supervisord"]


def _read_supervisor(process: Process) -> Supervisor:
    directory, environment = process.directory(), process.environment()
    config = Path(os.path.normpath(os.path.join(directory, config_of(process.argv, directory))))
    sections, files = read_config(config, environment)
    return Supervisor(
        pid=process.pid,
        uid=process.folder.stat().st_uid,
        directory=directory,
        config=config,
        environment=environment,
        sections=sections,
        files=files,
    )


def config_of(argv: list[str], directory: str) -> str:
    """The config file from the command line, or where supervisord looks for it."""
    for index, word in enumerate(argv):
        if word in ("-c", "--configuration") and index + 1 < len(argv):
            return argv[index + 1]
        if word.startswith("--configuration="):
            return word.partition("=")[2]
        if word.startswith("-c") and len(word) > 2:
            return word[2:]
    script = next((word for word in argv if os.path.basename(word) == "supervisord"), argv[0])
    beside = os.path.dirname(os.path.dirname(script))
    places = [
        f"{beside}/etc/supervisord.conf",
        f"{beside}/supervisord.conf",
        "supervisord.conf",
        "etc/supervisord.conf",
        "/etc/supervisord.conf",
        "/etc/supervisor/supervisord.conf",
    ]
    return next((place for place in places if os.path.exists(os.path.join(directory, place))), places[-1])


def read_config(
    config: Path, environment: dict[str, str]
) -> tuple[configparser.RawConfigParser, dict[str, str]]:
    """supervisord's config with all it includes, and the file in which each section stands."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    files: dict[str, str] = {}
    _read_one(parser, config, files)
    if parser.has_option("include", "files"):
        known = {f"ENV_{name}": value for name, value in environment.items()}
        known.update(here=str(config.parent), host_node_name=platform.node())
        for pattern in (parser.get("include", "files") % known).split():
            for included in sorted(glob.glob(os.path.join(config.parent, pattern))):
                _read_one(parser, Path(included), files)
    return parser, files


def _read_one(parser: configparser.RawConfigParser, path: Path, files: dict[str, str]) -> None:
    with path.open(encoding="utf-8") as text:
        parser.read_file(text)
    for section in parser.sections():
        files.setdefault(section, str(path))
        for option, value in parser.items(section):
            if "%(here)s" in value:
                parser.set(section, option, value.replace("%(here)s", str(path.parent.absolute())))


def programs_of(supervisor: Supervisor) -> list[Program]:
    """Every ``[program:x]`` of a supervisord's config."""
    groups = {}
    for section in supervisor.sections.sections():
        if section.startswith("group:"):
            for program in supervisor.get(section, "programs").split(","):
                groups[f"program:{program.strip()}"] = section[len("group:") :].strip()
    programs = []
    for section in supervisor.sections.sections():
        if section.startswith("program:"):
            group = groups.get(section, section[len("program:") :].strip())
            process = supervisor.get(section, "process_name", "%(program_name)s", **_names(section, group))
            programs.append(Program(supervisor, section, group, process))
    return programs


def _names(section: str, group: str) -> dict[str, str]:
    program = section[len("program:") :].strip()
    return {"program_name": program, "group_name": group, "process_num": "0", "numprocs": "1"}


def state_of(info: dict[str, Any]) -> str:
    """supervisord's state in the words of the contract; a program that ended as it should has stopped."""
    if info["statename"] == "EXITED":
        return "failed" if info["exitstatus"] else "stopped"
    return _STATES.get(info["statename"], "failed")
