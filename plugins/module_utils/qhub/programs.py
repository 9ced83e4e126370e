"""QHub's own program: each version in a venv of its own, with the packages that it runs with."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..environments.interpreter import version_of
from ..errors import HubError
from ..system import files
from .pins import PINS, PYTHON
from .site import Site

#: Variables with access to clouds: what must not deploy does not get them.
_CLOUD = ("AWS_", "ARM_", "GOOGLE_", "DIGITALOCEAN_", "SPACES_", "KUBE", "TF_VAR_")
#: Lines of an output that an error shows.
SHOWN_LINES = 12


@dataclass(frozen=True)
class Output:
    """How a program has ended, and what it has printed."""

    status: int
    text: str

    @property
    def end(self) -> str:
        """Its last lines."""
        return "\n".join(self.text.strip().splitlines()[-SHOWN_LINES:])


def requirements(site: Site, version: str) -> str:
    """The requirements of a version, one a line. Raises HubError where nobody knows them."""
    named = (site.requirements or {}).get(version)
    if named:
        try:
            return Path(named).read_text(encoding="utf-8")
        except OSError as error:
            raise HubError(
                f"Cannot read the requirements {named}: {error.strerror}.", "Correct qhub_requirements."
            ) from error
    if version not in PINS:
        raise HubError(
            f"No packages are known with which QHub {version} runs; known are {', '.join(PINS)}.",
            f"Name a file of requirements that pins all of them: qhub_requirements: {{'{version}': FILE}}.",
        )
    return "\n".join(PINS[version]) + "\n"


def python(site: Site) -> str:
    """The Python for QHub. Raises HubError where the host has none that fits."""
    named = site.python or shutil.which(f"python{PYTHON}") or ""
    version = version_of(named) if named else ""
    if not version:
        raise HubError(
            f"This host has no Python {PYTHON}" + (f" at {named}." if named else "."),
            "Install one, and name it: qhub_python.",
        )
    if not version.startswith(f"{PYTHON}.") and not site.requirements:
        raise HubError(
            f"{named} is Python {version}; the packages of QHub are pinned for {PYTHON}.",
            f"Name a Python {PYTHON}: qhub_python. Or pin packages for this one: qhub_requirements.",
        )
    return named


def program(kept: Path, version: str) -> Path:
    """Where the program ``qhub`` of a version is, once it is installed."""
    return kept / f"qhub-{version}" / "bin" / "qhub"


def is_installed(site: Site, kept: Path, version: str) -> bool:
    """Whether a venv is there with all that the version needs now."""
    with contextlib.suppress(OSError):
        return (kept / f"qhub-{version}" / "complete").read_text() == _identity(site, version)
    return False


def install(site: Site, kept: Path, version: str) -> None:
    """Make the venv of a version, from the start where an earlier attempt was cut off."""
    venv = kept / f"qhub-{version}"
    shutil.rmtree(venv, ignore_errors=True)
    wanted = kept / f"qhub-{version}.txt"
    files.write(wanted, requirements(site, version).encode())
    failed = make_venv(venv, python(site), wanted)
    if failed:
        raise HubError(
            f"QHub {version} cannot be installed:\n{failed.end}",
            "Give this host a way to the package index, or a Python that the packages have wheels for.",
        )
    output = run([str(program(kept, version)), "--version"], kept)
    if output.status or version not in output.text:
        raise HubError(
            f"QHub {version} is installed, and does not start:\n{output.end}",
            "Pin the packages that it needs: qhub_requirements.",
        )
    files.write(venv / "complete", _identity(site, version).encode())


def make_venv(venv: Path, interpreter: str, wanted: Path) -> Output | None:
    """Make a venv with the requirements of a file; what was printed where that fails."""
    uv = shutil.which("uv")
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--python", interpreter, str(venv)],
            [uv, "pip", "install", "--quiet", "--python", f"{venv}/bin/python", "--requirement", str(wanted)],
        ]
    else:
        pip = [f"{venv}/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        steps = [[interpreter, "-m", "venv", str(venv)], [*pip, "install", "--requirement", str(wanted)]]
    outputs = (run(argv, wanted.parent) for argv in steps)
    return next((output for output in outputs if output.status), None)


def _identity(site: Site, version: str) -> str:
    return hashlib.sha256(requirements(site, version).encode()).hexdigest()


def run(
    argv: list[str],
    folder: Path,
    cloud: bool = False,
    answers: str = "",
    variables: dict[str, str] | None = None,
) -> Output:
    """Run a program in a folder, with answers and no keyboard; only with ``cloud`` it reaches clouds."""
    environment = {name: value for name, value in os.environ.items() if cloud or not name.startswith(_CLOUD)}
    environment.pop("PYTHONPATH", None)
    # rich breaks the lines that a program prints to the width of the screen.
    environment.update(COLUMNS="500", PYTHONUNBUFFERED="1", **(variables or {}))
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment,
            input=answers.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise HubError(
            f"Cannot run {argv[0]}: {error.strerror}.", "Install it on this host, executable for this user."
        ) from error
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"))


def keep_output(kept: Path, name: str, text: str) -> str:
    """Keep what a program has printed, for its owner alone; returns the path."""
    path = kept / f"{name}.log"
    files.write(path, text.encode())
    return str(path)
