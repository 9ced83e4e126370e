"""systemd units that run a hub."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any, Iterable

from ..errors import HubError
from ..system import files
from ..system.execution_context import NEEDS_ROOT, ExecutionContext, account
from ..system.processes import is_alive, processes
from ..system.state import make_private, released_file
from .base import STOP_FIX, DoesNotStop, Service
from .command_line import runs_hub
from .facts import ServiceFacts

DROP_IN = "50-hubops-hold.conf"
_UNITS = Path("/etc/systemd/system")
#: What a reboot removes, with a drop-in that comes after those of the site.
_RUNTIME_UNITS = Path("/run/systemd/system")
_SPARING_DROP_IN = "zz-hubops-servers.conf"
#: Of the assertions with a bar one is enough: the hold file is away, or the hub was released since boot.
_HELD = "AssertPathExists=|!"
_RELEASED = "AssertPathExists=|"

#: Values of KillMode with which single-user servers outlive the hub.
_SPARING = ("process", "none")
_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,ExecStart,MainPID,User,Group,"
    "SupplementaryGroups,WorkingDirectory,Environment,EnvironmentFiles,PassEnvironment,UnsetEnvironment,"
    "UMask,KillMode,Restart,RuntimeDirectory,StateDirectory,CacheDirectory,LogsDirectory,"
    "ConfigurationDirectory,StandardOutput,StandardError"
)
#: Kinds of StandardOutput and StandardError that name a file.
_TO_FILE = ("file", "append", "truncate")
_FOLDERS = {  # property, the variable that systemd makes of it, and where its folders are
    "RuntimeDirectory": ("RUNTIME_DIRECTORY", "/run"),
    "StateDirectory": ("STATE_DIRECTORY", "/var/lib"),
    "CacheDirectory": ("CACHE_DIRECTORY", "/var/cache"),
    "LogsDirectory": ("LOGS_DIRECTORY", "/var/log"),
    "ConfigurationDirectory": ("CONFIGURATION_DIRECTORY", "/etc"),
}


class SystemdUnit(Service):
    """A unit of the system's systemd."""

    manager = "systemd"

    def __init__(self, name: str, properties: dict[str, list[str]] | None = None) -> None:
        """``name`` with its ``.service``; ``properties`` as `show` returns them, read again when left out."""
        self.name = name
        self._properties = properties

    @classmethod
    def find(cls, name: str | None = None) -> list[SystemdUnit]:
        """Every unit on this host that runs a hub; none where systemd does not run."""
        if not Path("/run/systemd/system").is_dir():
            return []
        units = show(["*.service"])
        asked_for = {_unit_name(name)} if name and re.fullmatch(r"[\w:.@\\-]+", name) else set()
        units.update(show(sorted((_unit_files() | asked_for) - set(units))))
        hubs = asked_for | _units_of_hub_processes()
        return [
            cls(unit, properties)
            for unit, properties in units.items()
            if properties["LoadState"] == ["loaded"]
            and (unit in hubs or runs_hub(parse_exec_start(properties.get("ExecStart", []))))
        ]

    @classmethod
    def of(cls, facts: ServiceFacts) -> SystemdUnit:
        return cls(facts.name)

    def properties(self) -> dict[str, list[str]]:
        """Properties of the unit that do not change while an upgrade runs, read once."""
        if self._properties is None:
            self._properties = show([self.name]).get(self.name, {})
        if self._one("LoadState") != "loaded":
            raise HubError(
                f"systemd cannot load {self.name}: it is {self._one('LoadState') or 'unknown'}.",
                f"`systemctl status {self.name}` says why.",
            )
        return self._properties

    def _one(self, key: str) -> str:
        return (self._properties or {}).get(key, [""])[-1]

    def state(self) -> str:
        states = self._states()
        return state_of(states["ActiveState"], int(states["MainPID"]))

    def main_pid(self) -> int | None:
        return int(self._states()["MainPID"]) or None

    def _states(self) -> dict[str, str]:
        text = _systemctl("show", "--property=ActiveState,MainPID", "--", self.name)
        return {key: values[-1] for key, values in parse_show(text)[0].items()}

    def command(self) -> list[str]:
        configured = self._exact_command() or parse_exec_start(self.properties().get("ExecStart", []))
        return expand_variables(configured, self._configured_environment())

    def _exact_command(self) -> list[str]:
        """ExecStart over D-Bus, which separates the arguments; empty where busctl cannot do that."""
        path = "/org/freedesktop/systemd1/unit/" + bus_label(self.name)
        interface = "org.freedesktop.systemd1.Service"
        manager = "org.freedesktop.systemd1"
        done = _run(["busctl", "--json=short", "get-property", manager, path, interface, "ExecStart"])
        return parse_bus_exec_start(done.stdout) if done.returncode == 0 else []

    def configured_context(self) -> ExecutionContext:
        properties = self.properties()
        user = self._one("User") or "root"
        entry = account(user, self._one("Group"), self._one("SupplementaryGroups").split())
        directory = self._one("WorkingDirectory").lstrip("!-") or "/"
        environment = self._manager_environment()
        if self._one("User"):
            environment.update(entry.names, SHELL=entry.shell)
        environment.update(_folder_variables(properties))
        environment.update(self._configured_environment())
        for name in " ".join(properties.get("UnsetEnvironment", [])).split():
            environment.pop(name.partition("=")[0], None)
        return entry.context(
            entry.home if directory == "~" else directory,
            environment,
            umask=int(self._one("UMask") or "0022", 8),
        )

    def _manager_environment(self) -> dict[str, str]:
        return parse_assignments(_systemctl("show-environment").splitlines())

    def _configured_environment(self) -> dict[str, str]:
        properties = self.properties()
        environment = own_environment(properties)
        for file, may_be_missing in environment_files(properties):
            for path in sorted(glob.glob(file)) or [file]:
                environment.update(_read_environment_file(Path(path), may_be_missing))
        return environment

    def start(self) -> None:
        if self.state() == "failed":
            _systemctl("reset-failed", "--", self.name)
        mark = self.log_mark()
        done = _run(["systemctl", "start", "--", self.name])
        if done.returncode:
            held_by = self._hold_file()
            if held_by and self.is_held(held_by):
                reason = held_by.read_text(encoding="utf-8").strip()
                raise HubError(f"{self.name} is held down: {reason}.", f"Remove {held_by} to let it start.")
            lines = self.log_since(mark)[-5:]
            reason = " ".join([done.stderr.strip().splitlines()[0], *lines])
            raise HubError(
                f"systemd could not start {self.name}: {reason}",
                f"`journalctl --unit {self.name}` has all of it.",
            )

    def stop(self, timeout: float) -> None:
        pid = self.main_pid()
        try:
            done = _run(["systemctl", "stop", "--", self.name], timeout=timeout)
        except subprocess.TimeoutExpired:
            raise DoesNotStop(f"{self.name} did not stop within {timeout:g} seconds.", STOP_FIX) from None
        if done.returncode:
            raise HubError(
                f"systemd could not stop {self.name}: {done.stderr.strip()}",
                f"`systemctl status {self.name}` says more.",
            )
        if pid and is_alive(pid):
            raise HubError(
                f"systemd stopped {self.name}, but its main process {pid} still runs.",
                "End that process, then try again.",
            )

    def kill(self) -> None:
        # With these single-user servers are not part of what is stopped.
        whom = "main" if self.properties()["KillMode"][-1] in _SPARING else "all"
        _systemctl("kill", "--signal=SIGKILL", f"--kill-who={whom}", "--", self.name)

    def install_hold(self, hold_file: Path) -> None:
        wanted = (
            "# Written by hubops.jupyterhub. While the first of these files exists, an upgrade is not\n"
            "# finished: the hub may start only where the second says so, which a reboot removes.\n"
            f"[Unit]\n{_HELD}{_escaped(hold_file)}\n{_RELEASED}{_escaped(_released_file(hold_file))}\n"
        )
        _install(self.drop_in, wanted)

    def is_held(self, hold_file: Path) -> bool:
        return hold_file.exists() and not _released_file(hold_file).exists()

    def hold(self, reason: str, hold_file: Path) -> None:
        super().hold(reason, hold_file)
        _released_file(hold_file).unlink(missing_ok=True)

    def release(self, hold_file: Path) -> None:
        if hold_file.exists():
            released = _released_file(hold_file)
            make_private(released.parent)
            released.touch()

    def reread(self) -> None:
        _systemctl("daemon-reload")

    def remove_hold(self, hold_file: Path) -> None:
        super().remove_hold(hold_file)
        released = _released_file(hold_file)
        released.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # The folder may be other hubs', or not there.
            released.parent.rmdir()
        _uninstall(self.drop_in)

    def settle(self) -> None:
        """Nothing: a service has one hub."""

    def spare_servers(self) -> None:
        text = (
            "# Written by hubops.jupyterhub for the time of an upgrade: users' servers outlive the hub.\n"
            "[Service]\nKillMode=process\n"
        )
        if self.properties()["KillMode"][-1] not in _SPARING:
            _install(self._sparing_drop_in, text)
            self._properties = None

    def end_sparing_servers(self) -> None:
        _uninstall(self._sparing_drop_in)

    @property
    def _sparing_drop_in(self) -> Path:
        return _RUNTIME_UNITS / f"{self.name}.d" / _SPARING_DROP_IN

    @property
    def drop_in(self) -> Path:
        return _UNITS / f"{self.name}.d" / DROP_IN

    def _hold_file(self) -> Path | None:
        """The file that the unit heeds, None when no hold is installed."""
        if not self.drop_in.exists():
            return None
        for line in self.drop_in.read_text(encoding="utf-8").splitlines():
            if line.startswith(_HELD):
                return Path(line[len(_HELD) :].replace("%%", "%"))
        return None

    def _configured_log_files(self) -> list[str]:
        return log_files(self._properties or {})

    def _manager_log_mark(self) -> str:
        done = _run(["journalctl", "--lines=1", "--output=cat", "--quiet", "--show-cursor", "--no-pager"])
        cursor = re.search(r"^-- cursor: (.+)$", done.stdout, re.MULTILINE)
        # An empty journal has no cursor: then everything from now on is new.
        return f"cursor {cursor[1]}" if cursor else f"since @{time.time():.6f}"

    def _manager_log_mark_at(self, moment: float) -> str:
        return f"since @{moment:.6f}"

    def _manager_log_since(self, mark: str) -> list[str]:
        kind, _space, value = mark.partition(" ")
        after = f"--after-cursor={value}" if kind == "cursor" else f"--since={value}"
        argv = ["journalctl", f"--unit={self.name}", after, "--output=cat", "--quiet", "--no-pager", "--all"]
        return _run(argv).stdout.splitlines()

    def _own_facts(self) -> dict[str, Any]:
        return {
            "environment_files": [file for file, _may_be_missing in environment_files(self.properties())],
            "enabled": self._one("UnitFileState") in ("enabled", "enabled-runtime", "generated"),
            "unit_file": self._one("FragmentPath"),
            "needs_root": True,
            "particulars": {"kill_mode": self._one("KillMode"), "restart": self._one("Restart")},
        }


def _install(drop_in: Path, text: str) -> None:
    """Have systemd know a drop-in. Raises HubError where it may not be written."""
    if not drop_in.exists() or drop_in.read_text(encoding="utf-8") != text:
        try:
            drop_in.parent.mkdir(exist_ok=True)
            files.write(drop_in, text.encode(), mode=0o644)
        except PermissionError:
            raise HubError(f"{drop_in.parent} may not be written.", NEEDS_ROOT) from None
        _systemctl("daemon-reload")


def _uninstall(drop_in: Path) -> None:
    """Have systemd forget a drop-in, if there is one."""
    if drop_in.exists():
        drop_in.unlink()
        if not any(drop_in.parent.iterdir()):
            drop_in.parent.rmdir()
        files.sync(drop_in.parents[1])
        _systemctl("daemon-reload")


def _released_file(hold_file: Path) -> Path:
    return released_file(hold_file.parent)


def _escaped(path: Path) -> str:
    """A path in a unit file, where a percent sign begins a specifier."""
    return str(path).replace("%", "%%")


def _unit_name(name: str) -> str:
    return name if name.endswith(".service") else f"{name}.service"


def _unit_files() -> set[str]:
    """Names of the units whose files speak of jupyterhub, also those that systemd has no reason to load now.

    Asking systemd for every unit there is would make it read them all, which takes a second.
    """
    folders = [Path(folder) for folder in _systemctl("show", "--property=UnitPath").strip()[9:].split()]
    names = set()
    for folder in folders:
        for file in [*folder.glob("*.service"), *folder.glob("*.service.d/*.conf")]:
            name = file.parent.name[:-2] if file.suffix == ".conf" else file.name
            if not name.endswith("@.service") and _speaks_of_hub(file):
                names.add(name)
    return names


def _speaks_of_hub(file: Path) -> bool:
    try:
        return b"jupyterhub" in file.read_bytes()
    except OSError:  # A link to nothing, or not ours to read.
        return False


def show(names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Properties of units by their names; one that systemd prints more than once has all its values."""
    names = list(names)
    if not names:
        return {}
    text = _systemctl("show", f"--property={_PROPERTIES}", "--", *names)
    return {unit["Id"][0]: unit for unit in parse_show(text) if "Id" in unit}


def parse_show(text: str) -> list[dict[str, list[str]]]:
    """The paragraphs of ``systemctl show``, one for each unit."""
    units = []
    for paragraph in text.split("\n\n"):
        unit: dict[str, list[str]] = {}
        for line in paragraph.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                unit.setdefault(key, []).append(value)
        if unit:
            units.append(unit)
    return units


def parse_exec_start(values: list[str]) -> list[str]:
    """argv of ``{ path=/a ; argv[]=/a b c ; ignore_errors=no ; ... }``, of the line that runs a hub.

    Older systemd joins the arguments with blanks and quotes nothing: an argument with a blank falls apart.
    """
    commands = []
    for value in values:
        match = re.search(r"argv\[\]=(.*?) ; (?:ignore_errors|flags)=", value)
        if match:
            try:
                commands.append(shlex.split(match[1]))
            except ValueError:
                commands.append(match[1].split())
    return _the_one_that_runs_a_hub(commands)


def parse_bus_exec_start(text: str) -> list[str]:
    """argv from busctl's JSON of ExecStart, of the line that runs a hub."""
    return _the_one_that_runs_a_hub([entry[1] for entry in json.loads(text)["data"]])


def _the_one_that_runs_a_hub(commands: list[list[str]]) -> list[str]:
    hubs = [command for command in commands if runs_hub(command)]
    return (hubs or commands or [[]])[-1]


def expand_variables(argv: list[str], environment: dict[str, str]) -> list[str]:
    """What systemd does to a command line: ``${NAME}`` anywhere, a whole word ``$NAME`` split at blanks."""
    expanded: list[str] = []
    for word in argv:
        whole = re.fullmatch(r"\$([A-Za-z_]\w*)", word)
        if whole:
            expanded.extend(environment.get(whole[1], "").split())
        else:
            value = re.sub(r"\$\{([A-Za-z_]\w*)\}", lambda name: environment.get(name[1], ""), word)
            expanded.append(value.replace("$$", "$"))
    return expanded


def own_environment(properties: dict[str, list[str]]) -> dict[str, str]:
    """The ``Environment=`` of a unit: assignments that `show` quotes where they need it."""
    return parse_assignments(shlex.split(" ".join(properties.get("Environment", []))))


def log_files(properties: dict[str, list[str]]) -> list[str]:
    """The files that a unit writes its output into, errors first."""
    outputs = [each for name in ("StandardError", "StandardOutput") for each in properties.get(name, [])]
    return [path for kind, _colon, path in (each.partition(":") for each in outputs) if kind in _TO_FILE]


def environment_files(properties: dict[str, list[str]]) -> list[tuple[str, bool]]:
    """Environment files of a unit, each with whether it may be missing."""
    files = []
    for value in properties.get("EnvironmentFiles", []):
        for path, ignored in re.findall(r"(/.*?) \(ignore_errors=(yes|no)\)", value):
            files.append((path, ignored == "yes"))
    return files


def parse_environment_file(text: str) -> dict[str, str]:
    """Assignments of a systemd environment file (systemd.exec(5)): quotes, comments, continued lines."""
    environment = {}
    for match in _ASSIGNMENT.finditer(text):
        if match["name"]:
            environment[match["name"]] = _unquoted(match["value"])
    return environment


_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:(?P<comment>[\#;](?:\\\n|[^\n])*)
        |(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*
         (?P<value>(?:"(?:\\[\s\S]|[^"\\])*"|'[^']*'|\\[\s\S]|[^\n\\"'])*))""",
    re.VERBOSE | re.MULTILINE,
)
_PART = re.compile(r""""((?:\\[\s\S]|[^"\\])*)"|'([^']*)'|\\([\s\S])|([^\\"']+)""")


def _unquoted(value: str) -> str:
    parts = []
    for double, single, escaped, plain in _PART.findall(value.rstrip()):
        if double:
            parts.append(re.sub(r'\\(["\\`$])', r"\1", double).replace("\\\n", ""))
        elif escaped:
            parts.append("" if escaped == "\n" else escaped)
        else:
            parts.append(single or plain)
    return "".join(parts)


def _read_environment_file(path: Path, may_be_missing: bool) -> dict[str, str]:
    try:
        return parse_environment_file(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        if may_be_missing:
            return {}
        raise HubError(
            f"The service's environment file {path} does not exist.",
            "Make it, or remove it from the unit: systemd would not start the hub again.",
        ) from None
    except PermissionError:
        raise HubError(f"The service's environment file {path} may not be read.", NEEDS_ROOT) from None


def parse_assignments(lines: Iterable[str]) -> dict[str, str]:
    """``NAME=value`` lines; systemctl quotes a value that needs it as a shell would: ``$'...'``."""
    environment = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            if value.startswith("$'") and value.endswith("'"):
                value = value[2:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
            environment[name] = value
    return environment


def state_of(active_state: str, main_pid: int) -> str:
    """systemd's ActiveState in the words of the contract."""
    if active_state in ("active", "reloading"):
        return "running"
    if active_state == "activating":
        return "starting"
    if active_state == "failed":
        return "failed"
    return "stopping" if main_pid else "stopped"


def _folder_variables(properties: dict[str, list[str]]) -> dict[str, str]:
    variables = {}
    for name, (variable, parent) in _FOLDERS.items():
        folders = " ".join(properties.get(name, [])).split()
        if folders:
            variables[variable] = ":".join(f"{parent}/{folder}" for folder in folders)
    return variables


def _units_of_hub_processes() -> set[str]:
    """Units with a running hub in them, whatever their command line says."""
    units = set()
    for process in processes():
        if runs_hub(process.argv):
            try:
                group = (process.folder / "cgroup").read_text()
            except OSError:  # It has ended meanwhile.
                continue
            units.update(re.findall(r"/system\.slice/(?:.*/)?([^/\n]+\.service)", group))
    return units


def bus_label(name: str) -> str:
    """A unit's name as D-Bus spells it in an object path: all but letters and digits as ``_hex``."""
    return "".join(
        letter if letter.isalnum() and (index or not letter.isdigit()) else f"_{ord(letter):02x}"
        for index, letter in enumerate(name)
    )


def _systemctl(*arguments: str) -> str:
    done = _run(["systemctl", *arguments])
    if done.returncode and "list-unit" not in arguments[0]:
        hint = NEEDS_ROOT if os.geteuid() else ""
        raise HubError(f"`systemctl {' '.join(arguments[:1])}` failed: {done.stderr.strip()}", hint)
    return done.stdout


def _run(argv: list[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(argv, 127, "", f"{argv[0]} is not there")
