"""Installer: installs packages into Python environments with uv, or with pip where uv is not available."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Sequence

from ..errors import HubError
from ..releases.requirements import normalised, requirement_name
from ..releases.versions import parse_release
from ..system import files, state
from ..system.processes import succeeded
from .layout import python_of
from .packages import installed_version
from .pip_settings import read_pip_settings, uv_settings, without_index

INDEX_TIMEOUT_SECONDS = 5
TARGET_TIMEOUT_SECONDS = 30
NEWEST_RELEASES_SHOWN = 3
#: Newer than any Python a release may ask for: its metadata is wanted, whatever the host has.
ANY_PYTHON = "3.99"

#: Variables that would lead an installer, or the Python it runs in, to another location than the given one.
_MISLEADING = (
    "CONDA_PREFIX",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONPYCACHEPREFIX",
    "PYTHONSTARTUP",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
)
_UNREACHABLE = re.compile(
    r"Failed to fetch|error sending request|Could not fetch URL|connection error|NewConnectionError"
    r"|ConnectTimeout|SSLError|ProxyError|dns error|tcp connect error|timed out",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(Connection refused|Network is unreachable|No route to host|Connection reset by peer|timed out"
    r"|Name or service not known|No address associated|Temporary failure in name resolution"
    r"|failed to lookup address information[^\n]*|invalid peer certificate[^\n]*"
    r"|certificate verify failed[^\n)]*|Tunnel connection failed[^\n)']*"
    r"|HTTP status (?:client|server) error \([^)]*\)|[45]\d\d (?:Client|Server) Error[^\n]*?(?= for url))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class InstallerOptions:
    """What an administrator may set for installations.

    ``index_url`` may hold credentials, so ``repr`` hides it. ``constraints`` is a file, ``wheels`` a folder
    that replaces every index. ``image`` is the one from which a hub in a container is to be started.
    ``builder_folder`` is where a uv of our own is kept; '' keeps none.
    """

    installer: str = "auto"  # auto, uv or pip
    index_url: str = field(default="", repr=False)
    constraints: str = ""
    wheels: str = ""
    image: str = ""
    builder_folder: str = ""


def installer_options(params: dict[str, Any], name: str = "") -> InstallerOptions:
    """The options in a module's parameters; uv is kept in the state folder of ``name``."""
    folder = state.state_folder(name or params["deployment"]["name"], params["state_folder"])
    return InstallerOptions(
        installer=params["installer"],
        index_url=params["index_url"] or "",
        constraints=params["constraints"] or "",
        wheels=params["wheels"] or "",
        image=params["image"] or "",
        builder_folder=str(folder / "builder"),
    )


def silent(line: str) -> None:
    """A progress callback that does nothing."""


def without_credentials(text: str) -> str:
    """``text`` with user and password of every address in it replaced by ``***``."""
    return re.sub(r"://[^/\s@'\"]+@", "://***@", text)


class Installer:
    """uv or pip, with the index, constraints and credentials it is to use.

    ``environment`` is the environment that is there today: its pip settings hold, and its own uv or pip is
    used when the host has no other. Credentials reach the tool by environment variables, never by arguments.
    Raises HubError when the requested installer is not available.
    """

    #: The image that has what was planned; '' where packages are installed into a folder.
    image = ""
    #: Whether all that it installs can be had as wheels, without the environment that it is for.
    takes_wheels = True
    #: What `asked` says where another process has looked; None where this one looks.
    known: dict[str, Any] | None = None

    def __init__(
        self,
        options: InstallerOptions,
        environment: str,
        progress: Callable[[str], None] = silent,
        may_build: bool = True,
    ) -> None:
        if options.wheels and not Path(options.wheels).is_dir():
            raise HubError(
                f"The folder of wheels {options.wheels} does not exist on the host.",
                "Copy it to the host, have stage.yml fill it, or correct jupyterhub_wheels.",
            )
        if options.constraints and not Path(options.constraints).is_file():
            raise HubError(
                f"The constraints file {options.constraints} does not exist on the host.",
                "Copy it to the host, or correct jupyterhub_constraints.",
            )
        self.options = options
        self._environment = environment
        self._settings = read_pip_settings(environment)
        if options.wheels:
            self._settings = {
                key: value
                for key, value in self._settings.items()
                if key not in ("index-url", "extra-index-url", "find-links", "no-index")
            }
        self._builder = Path(options.builder_folder)
        self._uv = ""
        self._uv = self._uv_to_use(progress, may_build)
        self.name = "uv" if self._uv else "pip"

    def asked(self) -> dict[str, Any]:
        """What has been set and decides what is installed, by the words of a sentence."""
        if self.known is not None:
            return self.known
        options = self.options
        wheels = sorted(wheel.name for wheel in Path(options.wheels).glob("*.whl")) if options.wheels else []
        return {
            "the wheels": [options.wheels, *wheels],
            "the image": options.image,
            "the constraints": files.sha256(Path(options.constraints)) if options.constraints else "",
            "the index": hashlib.sha256(options.index_url.encode()).hexdigest(),
        }

    def install(
        self,
        environment: str,
        requirements: Iterable[str],
        progress: Callable[[str], None] = silent,
    ) -> None:
        """Install requirements into an environment; other packages change only where these need it.

        A package that is named without a version becomes the newest one. Bytecode is not compiled. Raises
        HubError when a requirement is not available or the index cannot be reached.
        """
        self._install(environment, requirements, [], progress)

    def planned(self, environment: str, requirements: Iterable[str]) -> dict[str, str]:
        """``{name: version}`` of what `install` would change; it is not done. Raises HubError as it would."""
        output = self._install(environment, requirements, ["--dry-run"], silent, TARGET_TIMEOUT_SECONDS)
        if self._uv:
            found = re.findall(r"^ [+~] ([^\s=]+)==(\S+)", output, re.MULTILINE)
        else:
            line = re.search(r"^Would install (.*)$", output, re.MULTILINE)
            found = [tuple(word.rsplit("-", 1)) for word in line[1].split()] if line else []
        return {normalised(name): version for name, version in found}

    def _install(
        self,
        environment: str,
        requirements: Iterable[str],
        flags: list[str],
        progress: Callable[[str], None],
        timeout: float | None = None,
    ) -> str:
        """Install, and return the tool's output."""
        wanted = _checked(requirements)
        python = _python(environment)
        with _requirements_file(wanted) as file:
            if self._uv:
                argv = [self._uv, "pip", "install", "--python", python, "--link-mode", "copy"]
                for name in filter(None, map(requirement_name, wanted)):
                    argv += ["--upgrade-package", name]
            else:
                argv = [*self._pip(python), "install", "--no-compile", "--upgrade"]
                argv += ["--upgrade-strategy", "only-if-needed"]
            returned, output = self._run([*argv, *flags, *self._sources(), "-r", file], progress, timeout)
        if returned:
            named = ", ".join(map(without_credentials, wanted))
            raise self._failure(output, f"{named} cannot be installed into {environment}")
        return output

    def create(self, environment: str, python: str, prompt: str, system_packages: bool = False) -> None:
        """Make a new, empty venv for an interpreter. Raises HubError when it cannot make one."""
        flags = ["--system-site-packages"] if system_packages else []
        uv_venv = [self._uv, "venv", "--no-project", "--python", python]
        argv = uv_venv if self._uv else [python, "-m", "venv"]
        returned, output = self._run([*argv, "--prompt", prompt, *flags, environment])
        if returned:
            raise HubError(
                f"{python} cannot make a venv: {_last_line(output)}",
                "Name an interpreter that runs in jupyterhub_python; Debian's needs python3-venv.",
            )

    def fill(
        self,
        environment: str,
        packages: dict[str, str],
        requirements: Iterable[str],
        progress: Callable[[str], None] = silent,
    ) -> None:
        """Fill an empty venv with ``requirements`` and ``packages`` (name: version or address).

        The packages have versions as near to these as the venv's Python allows. Raises HubError as `install`.
        """
        wanted = _checked(requirements)
        named = {requirement_name(requirement) for requirement in wanted}
        kept = {name: version for name, version in packages.items() if name not in named}
        if self._uv:
            self._fill_by_uv(environment, kept, wanted, progress)
        else:
            self._fill_by_pip(environment, kept, wanted, progress)

    def _fill_by_uv(
        self,
        environment: str,
        packages: dict[str, str],
        requirements: list[str],
        progress: Callable[[str], None],
    ) -> None:
        # uv treats the pins of an output file that exists as preferences: kept where possible, no conflict.
        names = [_pin(name, version) if "/" in version else name for name, version in packages.items()]
        pins = [_pin(name, version) for name, version in packages.items() if "/" not in version]
        python = _python(environment)
        with _requirements_file([*names, *requirements]) as wanted, _requirements_file(pins) as resolved:
            resolve = [*self._resolver(python), "--output-file", resolved, wanted]
            # Old versions have no wheels for a new Python; a near version with a wheel beats a build.
            returned, output = self._run([*resolve, "--only-binary", ":all:"], progress)
            if returned:
                Path(resolved).write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
                returned, output = self._run(resolve, progress)
            if not returned:
                argv = [self._uv, "pip", "install", "--python", python, "--link-mode", "copy"]
                returned, output = self._run([*argv, *self._sources(), "-r", resolved], progress)
        if returned:
            raise self._failure(
                output, f"The packages of {self._environment} cannot be installed for {python}"
            )

    def _fill_by_pip(
        self,
        environment: str,
        packages: dict[str, str],
        requirements: list[str],
        progress: Callable[[str], None],
    ) -> None:
        pins = {name: _pin(name, version) for name, version in packages.items()}
        python = _python(environment)
        for _attempt in range(len(pins) + 1):
            with _requirements_file([*pins.values(), *requirements]) as file:
                argv = [*self._pip(python), "install", "--no-compile", "--prefer-binary", *self._sources()]
                returned, output = self._run([*argv, "-r", file], progress)
            if not returned:
                return
            blamed = r"(?:No matching distribution found for|The user requested|depends on) ([A-Za-z0-9._-]+)"
            culprits = {normalised(name) for name in re.findall(blamed, output)}
            loose = [name for name in culprits if pins.get(name, name) != name]
            if not loose:
                break
            for name in loose:
                progress(f"{pins[name]} does not support this Python, taking another version")
                pins[name] = name
        raise self._failure(output, f"The packages of {self._environment} cannot be installed for {python}")

    def check(self, environment: str) -> list[str]:
        """Conflicts between installed packages, one sentence each, as the tool words them."""
        python = _python(environment)
        argv = [self._uv, "pip", "check", "--python", python] if self._uv else [*self._pip(python), "check"]
        _returned, output = self._run(argv)
        return [line for line in output.splitlines() if re.search(r" requires | has requirement ", line)]

    def fetch(self, version: str, folder: Path) -> Path:
        """Unpack what can be read of a JupyterHub release from its wheel, and return the folder.

        Raises HubError when the release does not exist or the index cannot be reached.
        """
        requirement = f"jupyterhub=={version}"
        python = _python(self._environment)
        common = ["--no-deps", "--only-binary", ":all:", *self._sources()]
        if self._uv:
            # Links into uv's cache, where there is one: nothing of 15 MB has to be copied to be read.
            link_mode = "copy" if self._variables().get("UV_NO_CACHE") else "symlink"
            argv = [self._uv, "pip", "install", "--python", python, "--python-version", ANY_PYTHON]
            argv += ["--link-mode", link_mode, "--target", str(folder), *common, requirement]
        else:
            argv = [*self._pip(python), "-vv", "download", "--ignore-requires-python", "--dest", str(folder)]
            argv += [*common, requirement]
        returned, output = self._run(argv, timeout=TARGET_TIMEOUT_SECONDS)
        if returned:
            raise self._no_release(version, output)
        for wheel in folder.glob("jupyterhub-*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                wanted = [
                    name
                    for name in archive.namelist()
                    if re.search(r"\.dist-info/|^jupyterhub/(alembic/|authenticators/|\w+\.py$)", name)
                ]
                archive.extractall(folder, wanted)
        return folder

    def _no_release(self, version: str, output: str) -> HubError:
        if _UNREACHABLE.search(output):
            return self._failure(output, "")
        where = f"in {self.options.wheels}" if self.options.wheels else "on the index"
        releases = self._releases_below_any() if self._uv else _releases_named(output)
        if not releases:
            return HubError(
                f"There is no JupyterHub {where}.",
                "Put its wheel there, or name an index that has it in jupyterhub_index_url.",
            )
        newest = ", ".join(releases)
        return HubError(
            f"JupyterHub {version} does not exist {where}. Newest releases: {newest}.",
            "Name one of the releases, or a source that has the wanted one.",
        )

    def _resolver(self, python: str) -> list[str]:
        """uv, used only to resolve versions."""
        argv = [self._uv, "pip", "compile", "--python", python, "--no-header", "--no-annotate", "--quiet"]
        return [*argv, *self._sources()]

    def _releases_below_any(self) -> list[str]:
        """Newest releases first; uv lists none, but says which one is the newest below another."""
        releases: list[str] = []
        for _each in range(NEWEST_RELEASES_SHOWN):
            below = f"<{releases[-1]}" if releases else ""
            with _requirements_file([f"jupyterhub{below}"]) as file:
                argv = [*self._resolver(_python(self._environment)), "--python-version", ANY_PYTHON]
                argv += ["--no-deps", "--only-binary", ":all:", file]
                _returned, output = self._run(argv, timeout=TARGET_TIMEOUT_SECONDS)
            found = re.search(r"^jupyterhub==(\S+)$", output, re.MULTILINE)
            if not found:
                break
            releases.append(found[1])
        return releases

    def _sources(self) -> list[str]:
        """Arguments that say where packages come from; none of them is a secret."""
        arguments = ["--no-index", "--find-links", self.options.wheels] if self.options.wheels else []
        if self._uv and not self.options.wheels and without_index(self._settings):
            arguments += ["--no-index"]
        return [*arguments, *(["--constraint", self.options.constraints] if self.options.constraints else [])]

    def _variables(self) -> dict[str, str]:
        """The environment variables of the tool; their values may be secrets."""
        variables = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
        variables.update(PYTHONNOUSERSITE="1", PYTHONDONTWRITEBYTECODE="1", PIP_NO_INPUT="1", NO_COLOR="1")
        variables.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
        variables.update(UV_NO_PROGRESS="1", UV_PYTHON_DOWNLOADS="never")
        if not os.access(os.path.expanduser("~"), os.W_OK):
            variables.setdefault("UV_NO_CACHE", "1")
        if self._uv:
            variables.update(uv_settings(self._settings) or {})
        if self.options.wheels:
            for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
                variables.pop(name, None)
        elif self.options.index_url:
            variables.pop("UV_INDEX_URL", None)
            variables.update(PIP_INDEX_URL=self.options.index_url, UV_DEFAULT_INDEX=self.options.index_url)
        return variables

    def _uv_to_use(self, progress: Callable[[str], None], may_build: bool) -> str:
        """uv of the host, of the environment or of our own; '' where pip is to be used."""
        must = self.options.installer == "uv"
        if self.options.installer == "pip" or not must and uv_settings(self._settings) is None:
            return ""
        found = find_uv(self._environment, self.options)
        if found:
            return found
        reason = "it is not on the PATH."
        if may_build and self.options.builder_folder:
            reason = self._build("uv", progress)
            if not reason:
                return str(self._builder / "bin" / "uv")
        if must:
            raise HubError(
                f"uv is not on the host and cannot be installed: {reason}",
                "Install uv, or let pip do it: installer auto.",
            )
        return ""

    def _build(self, package: str, progress: Callable[[str], None] = silent) -> str:
        """Make a venv that holds pip and ``package``; return why that is not possible, '' when it is done."""
        shutil.rmtree(self._builder, ignore_errors=True)
        self._builder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        progress(f"Fetching {package} into {self._builder}")
        python = str(self._builder / "bin" / "python")
        for argv in (
            [sys.executable, "-m", "venv", str(self._builder)],
            [python, "-m", "pip", "install", "--quiet", *self._sources(), package],
        ):
            returned, output = self._run(argv)
            if returned:
                shutil.rmtree(self._builder, ignore_errors=True)
                return _last_line(output)
        return ""

    def _pip(self, python: str) -> list[str]:
        """pip for an interpreter: its environment's own, else today's environment's, else one of our own.

        Raises HubError when there is none.
        """
        if installed_version(Path(python).parent.parent, "pip"):
            return [python, "-m", "pip"]
        today = _python(self._environment)
        if installed_version(self._environment, "pip"):
            return [today, "-m", "pip", "--python", python]
        if self.options.builder_folder and (python_of(self._builder) or not self._build("pip")):
            return [str(self._builder / "bin" / "python"), "-m", "pip", "--python", python]
        raise HubError(
            f"{self._environment} has no pip, and no other installer is available.",
            "Install uv on the host, or pip into the environment (python -m ensurepip).",
        )

    def _run(
        self, argv: Sequence[str], progress: Callable[[str], None] = silent, timeout: float | None = None
    ) -> tuple[int, str]:
        """Run a tool in a neutral directory; return its exit status and its output without credentials.

        ``timeout`` in seconds; a tool that takes longer is ended and has failed.
        """
        lines: list[str] = []
        variables = self._variables()
        if timeout:
            # An index that does not answer is to be reported in seconds, not tried again for minutes.
            seconds = str(INDEX_TIMEOUT_SECONDS)
            variables.update(PIP_DEFAULT_TIMEOUT=seconds, PIP_TIMEOUT=seconds, PIP_RETRIES="0")
            variables.update(UV_HTTP_TIMEOUT=seconds, UV_HTTP_CONNECT_TIMEOUT=seconds, UV_HTTP_RETRIES="0")
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=variables,
                text=True,
                errors="replace",
            )
        except OSError as error:
            return 127, f"{argv[0]}: {error.strerror}"
        killer = threading.Timer(timeout, process.kill) if timeout else None
        if killer:
            killer.start()
        with process:
            for line in process.stdout or ():
                lines.append(without_credentials(line))
                if re.match(r"(Resolved|Prepared|Installed|Downloading|Building|Collecting) ", line):
                    progress(without_credentials(line.partition(" (from ")[0].strip()))
        if killer:
            if not killer.is_alive() and process.returncode:
                lines.append(f"timed out after {timeout:g} seconds\n")
            killer.cancel()
        return process.returncode, "".join(lines)

    def _failure(self, output: str, what: str) -> HubError:
        if _UNREACHABLE.search(output) and "were found in the cache" not in output:
            reasons = _REASON.findall(output)
            reason = reasons[-1].strip() if reasons else _last_line(output)
            return HubError(
                f"The package index could not be reached: {reason}.",
                "Fix the network or the proxy settings, or name an index in jupyterhub_index_url or a "
                "folder of wheels in jupyterhub_wheels.",
            )
        return HubError(f"{what}: {_explanation(output)}", "Name compatible versions in jupyterhub_packages.")


def find_uv(environment: str, options: InstallerOptions) -> str:
    """A uv that runs: of the host, of the environment, of the user or of our own; '' when there is none."""
    candidates = [
        shutil.which("uv"),
        f"{environment}/bin/uv",
        os.path.expanduser("~/.local/bin/uv"),
        f"{options.builder_folder}/bin/uv" if options.builder_folder else None,
    ]
    return next((each for each in candidates if each and succeeded([each, "--version"])), "")


def _releases_named(output: str) -> list[str]:
    """The newest releases of those that pip lists when it finds no match."""
    listed = re.search(r"\(from versions: ([^)]*)\)", output)
    names = [name for name in listed[1].split(", ") if name and name != "none"] if listed else []
    releases = sorted(parse_release(name) for name in names)
    return [release.text for release in releases if not release.is_prerelease][-NEWEST_RELEASES_SHOWN:][::-1]


def _pin(name: str, version: str) -> str:
    """A requirement for a version, or for the address that a package came from."""
    return f"{name} @ {version}" if "/" in version else f"{name}=={version}"


def _checked(requirements: Iterable[str]) -> list[str]:
    """Requirements as they are. Raises HubError for one that an installer would read as an option."""
    wanted = [requirement.strip() for requirement in requirements]
    for requirement in wanted:
        if not requirement or requirement.startswith("-") or "\n" in requirement:
            raise HubError(f'"{requirement}" is not a requirement.', 'Write it like "oauthenticator>=17".')
    return wanted


@contextlib.contextmanager
def _requirements_file(requirements: Iterable[str]) -> Iterator[str]:
    """A private file of requirements: one may hold a password, and all users can read arguments."""
    with tempfile.NamedTemporaryFile("w", prefix="hubops-", suffix=".txt", encoding="utf-8") as file:
        file.write("".join(f"{requirement}\n" for requirement in requirements))
        file.flush()
        yield file.name


def _python(environment: str) -> str:
    python = python_of(Path(environment))
    if python is None:
        raise HubError(
            f"{environment} has no Python that runs.",
            "Its base interpreter may be gone; name another one in jupyterhub_python to rebuild it.",
        )
    return python


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _explanation(output: str) -> str:
    """The part of a tool's output that says why it failed."""
    causes = re.findall(r"^\s*(?:cause:|Caused by:|╰─▶|├─▶) *(.*)$", output, re.MULTILINE)
    if causes:
        return str(causes[-1])
    errors = re.findall(r"^\s*(?:ERROR|error): *(.*)$", output, re.MULTILINE)
    return str(errors[0] if errors else _last_line(output))
