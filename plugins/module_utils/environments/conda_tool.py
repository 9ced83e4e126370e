"""The program that changes conda environments: conda, mamba or micromamba, and how each wants to be told."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from ..errors import HubError
from ..releases.versions import parse_release
from ..system.execution_context import find_program
from ..system.processes import succeeded
from .conda_records import programs_of_history
from .installer import without_credentials

NAMES = ("micromamba", "mamba", "conda")
NONE_FOUND_FIX = (
    "Install micromamba or conda where it is on the PATH of the user that Ansible becomes, such as "
    "/usr/local/bin, or set CONDA_EXE for that user."
)
VERSION_SECONDS = 30
#: How long a channel that does not answer is waited for in a dry run.
CONNECT_SECONDS = 10

_UNREACHABLE = re.compile(
    r"CondaHTTPError|CondaSSLError|ProxyError|ConnectionError|CONNECTION FAILED|HTTP 000"
    r"|Could not (?:connect|resolve)|Connection refused|[Tt]imed? ?out|Download error",
)


@dataclass(frozen=True)
class Dialect:
    """The words of one of the programs, where they differ."""

    copies: str
    """Files are copied from the cache: a link to it would be changed along with the environment."""
    create: tuple[str, ...] = ()
    """With ``create``: nothing but what is asked for."""
    install: tuple[str, ...] = ()
    """With ``install``: other packages change only where they have to."""
    downloads: tuple[str, ...] = ()
    """Packages are unpacked in the cache and not linked; a program without this word links them as well."""
    channels: str = ""
    """The variable for the channels, where a program adds its defaults to those of the command line."""


#: conda before 4.6 updates all that a package depends on, and adds its defaults to any channels.
OLD_CONDA = Dialect(
    copies="--copy",
    create=("--no-default-packages",),
    install=("--no-update-dependencies",),
    channels="CONDA_DEFAULT_CHANNELS",
)
#: conda, and mamba before 2, which is a conda with another solver.
CONDA = Dialect(copies="--copy", create=("--no-default-packages",), downloads=("--download-only",))
#: micromamba, and mamba from 2 on, which is the same program.
MICROMAMBA = Dialect(copies="--always-copy", downloads=("--download-only",))


@dataclass(frozen=True)
class CondaTool:
    """conda, mamba or micromamba as it is on the host."""

    program: str
    name: str
    version: str

    @property
    def dialect(self) -> Dialect:
        """How it wants to be told."""
        release = parse_release(self.version)
        if self.name == "micromamba" or self.name == "mamba" and release >= parse_release("2.0"):
            return MICROMAMBA
        return OLD_CONDA if self.name == "conda" and release < parse_release("4.6") else CONDA


@dataclass(frozen=True)
class Order:
    """What a program is to do with a prefix; ``cache`` is the folder in which it unpacks packages."""

    action: str
    """``install``, or ``create``."""
    prefix: Path
    specs: Sequence[str]
    cache: Path
    dry_run: bool = False
    download_only: bool = False
    alone: bool = False
    """Without the packages that they depend on."""


def command(tool: CondaTool, order: Order, channels: Sequence[str]) -> list[str]:
    """The command line that carries out an order; without ``channels`` those of the user's settings hold."""
    words = tool.dialect
    argv = [tool.program, order.action, "--yes", "--json", "--prefix", str(order.prefix)]
    argv += ["--override-channels"] if channels else []
    argv += [word for channel in channels for word in ("--channel", channel)]
    argv += [words.copies, *(words.create if order.action == "create" else words.install)]
    argv += ["--no-deps"] if order.alone else []
    argv += ["--dry-run"] if order.dry_run else []
    argv += words.downloads if order.download_only else ()
    return [*argv, *order.specs]


def variables(
    tool: CondaTool, order: Order, channels: Sequence[str], given: Mapping[str, str]
) -> dict[str, str]:
    """The variables that go with it, beside those ``given``.

    No cache of the user's is written, and ``~/.conda/environments.txt`` only by a conda that knows no setting
    for that.
    """
    seconds = str(CONNECT_SECONDS)
    settings = {
        "CONDA_PKGS_DIRS": str(order.cache),
        "CONDA_REGISTER_ENVS": "false",
        "MAMBA_REGISTER_ENVS": "false",
        "CONDA_NOTIFY_OUTDATED_CONDA": "false",
        "CONDA_AUTO_UPDATE_CONDA": "false",
        "MAMBA_NO_BANNER": "1",
    }
    if order.dry_run or order.download_only:
        settings.update(CONDA_REMOTE_CONNECT_TIMEOUT_SECS=seconds, CONDA_REMOTE_MAX_RETRIES="0")
        settings.update(MAMBA_REMOTE_CONNECT_TIMEOUT_SECS=seconds, MAMBA_REMOTE_MAX_RETRIES="0")
    if tool.dialect.channels and channels:
        settings[tool.dialect.channels] = ",".join(channels)
    kept = {key: value for key, value in given.items() if key != "CONDA_DEFAULT_ENV"}
    return {**kept, **settings}


def carry_out(
    tool: CondaTool,
    order: Order,
    channels: Sequence[str],
    given: Mapping[str, str],
    hint: str,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Carry out an order, and return what the program answers in JSON.

    Raises HubError, with ``hint``, where the program fails, or takes longer than ``seconds``.
    """
    try:
        done = subprocess.run(
            command(tool, order, channels),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=variables(tool, order, channels, given),
            timeout=seconds,
        )
    except OSError as error:
        raise HubError(f"{tool.program} cannot be started: {error.strerror}.", NONE_FOUND_FIX) from error
    except subprocess.TimeoutExpired:
        raise unreachable(channels, f"no answer within {seconds:g} seconds") from None
    answer = last_answer(done.stdout)
    if done.returncode or answer.get("success") is False or "error" in answer:
        reason = explanation(answer, done.stderr)
        if _UNREACHABLE.search(f"{answer.get('exception_name', '')} {reason}"):
            raise unreachable(channels, reason)
        raise HubError(f"{tool.program} cannot {order.action} {', '.join(order.specs)}: {reason}.", hint)
    return answer


def unreachable(channels: Sequence[str], reason: str) -> HubError:
    """The failure of channels that do not answer."""
    named = ", ".join(map(_scrubbed, channels)) or "of the user's settings"
    return HubError(
        f"The conda channel could not be reached ({named}): {_scrubbed(reason)}.",
        "Fix the network or the proxy settings; they are those of the user that Ansible becomes.",
    )


def linked(answer: Mapping[str, Any]) -> dict[str, str]:
    """``{name: version}`` of what an answer says is linked, in the words of each of the programs."""
    actions = answer.get("actions") or {}
    links = [
        link
        for each in (actions if isinstance(actions, list) else [actions])
        for link in each.get("LINK") or ()
    ]
    return dict(_name_and_version(link) for link in links)


def last_answer(output: str) -> dict[str, Any]:
    """The last JSON object of an output: progress may come before it, as objects as well."""
    decoder, at = json.JSONDecoder(), output.find("{")
    answer: dict[str, Any] = {}
    while at >= 0:
        try:
            answer, end = decoder.raw_decode(output, at)
        except ValueError:
            end = at + 1
        at = output.find("{", end)
    return answer


def explanation(answer: Mapping[str, Any], errors: str) -> str:
    """Why a program has failed, in one line."""
    problems = answer.get("solver_problems")
    said = "; ".join(problems) if problems else answer.get("message") or answer.get("error") or errors
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return _scrubbed(" ".join(lines)).rstrip(".") or "it says nothing"


def _scrubbed(text: str) -> str:
    """``text`` without credentials, and without the tokens that a channel's address has in its path."""
    return re.sub(r"/t/[^/\s]+/", "/t/***/", without_credentials(text))


def none_found(environment: Path) -> str:
    """What is said where `find` finds nothing."""
    return f"No conda, mamba or micromamba was found for {environment}."


def find(environment: Path) -> CondaTool | None:
    """The program for an environment: the one that made it, that of its base, or any that the host has."""
    for candidate in dict.fromkeys(_candidates(environment)):
        version = _version(candidate)
        if version:
            return CondaTool(candidate, Path(candidate).name, version)
    return None


def _candidates(environment: Path) -> Iterator[str]:
    yield from (each for each in programs_of_history(environment) if Path(each).name in NAMES)
    base = environment.parent.parent if environment.parent.name == "envs" else environment
    yield from (f"{base}/{folder}/{name}" for folder in ("bin", "condabin") for name in NAMES)
    yield from (os.environ.get(variable, "") for variable in ("MAMBA_EXE", "CONDA_EXE"))
    for name in NAMES:
        yield str(find_program(name, os.environ.get("PATH", os.defpath)) or "")


def _version(program: str) -> str:
    """The version of a program, '' where it does not run."""
    if not os.path.isabs(program) or not os.access(program, os.X_OK):
        return ""
    done = succeeded([program, "--version"], VERSION_SECONDS)
    return version_in(f"{done.stdout}\n{done.stderr}", Path(program).name) if done else ""


def version_in(output: str, name: str) -> str:
    """The numbers of the version that a program prints: alone, or after its name and beside another one's."""
    found = re.search(rf"^(?:{name} )?(\d+(?:\.\d+)+)\S*$", output, re.MULTILINE)
    return found[1] if found else ""


def _name_and_version(link: Any) -> tuple[str, str]:
    """A package that is linked: an object, or ``channel::name-version-build`` of an old conda."""
    if isinstance(link, str):
        name, version, _build = link.rpartition("::")[2].rsplit("-", 2)
        return name, version
    return str(link["name"]), str(link["version"])
