"""Environment: one Python environment, read from disk without ever starting its interpreter."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import shlex
from pathlib import Path
from typing import Any, Iterable, Iterator, Sequence

from .errors import HubError
from .surroundings import NEEDS_ROOT

VENV = "venv"
CONDA = "conda"
SYSTEM = "system"

# JupyterHub's company: what decides whether a hub or a single-user server works, by normalised name.
COMPANY = (
    "aiohttp",
    "alembic",
    "*authenticator*",
    "certipy",
    "configurable-http-proxy",
    "ipykernel",
    "jupyter-*",
    "jupyterhub*",
    "jupyterlab",
    "*keycloak*",
    "mysqlclient",
    "nbclassic",
    "notebook",
    "oauthlib",
    "pamela",
    "pip",
    "psycopg*",
    "pydantic",
    "pymysql",
    "*spawner*",
    "sqlalchemy",
    "tornado",
    "traitlets",
)


def read_environment(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The environment at ``path`` in the shape of the contract (docs/architecture.md).

    ``python`` is None when the interpreter is gone, as after an upgrade of the operating system that took the
    venv's base Python away. Raises HubError when there is no environment at ``path`` or it may not be read.
    """
    root = Path(path)
    packages = all_packages(root)
    return {
        "path": str(root),
        "kind": kind_of(root),
        "python": python_of(root),
        "python_version": python_version_of(root),
        "jupyterhub": packages.get("jupyterhub"),
        "packages": company(packages),
    }


def company(packages: dict[str, str]) -> dict[str, str]:
    """Those of ``packages`` that belong to JupyterHub's company."""
    return {
        name: version
        for name, version in sorted(packages.items())
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in COMPANY)
    }


def all_packages(path: str | os.PathLike[str]) -> dict[str, str]:
    """``{normalised name: version}`` of everything installed in the environment.

    Raises HubError when there is no environment at ``path`` or it may not be read.
    """
    packages: dict[str, str] = {}
    for folder in site_packages(Path(path)):
        for name, version in _installed_in(folder):
            # The first folder on sys.path wins, as it does for an import.
            packages.setdefault(name, version)
    return packages


def declared_requirements(root: Path) -> dict[str, list[str]]:
    """``{normalised name: [Requires-Dist]}`` of everything installed in the environment.

    Raises HubError when there is no environment at ``root`` or it may not be read.
    """
    found: dict[str, list[str]] = {}
    for folder in site_packages(root):
        for metadata in folder.glob("*.dist-info/METADATA"):
            header = metadata.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
            name = re.search(r"^Name: *(\S+)", header, re.MULTILINE)
            if name:
                requires = re.findall(r"^Requires-Dist: *(.*)$", header, re.MULTILINE)
                found.setdefault(normalised(name[1]), requires)
    return found


def installed_version(path: str | os.PathLike[str], package: str) -> str | None:
    """Version of one package of the environment, or None; cheaper than `all_packages`.

    Raises HubError when there is no environment at ``path`` or it may not be read.
    """
    for folder in site_packages(Path(path)):
        for name, version in _installed_in(folder, package):
            if name == package:
                return version
    return None


def kind_of(root: Path) -> str:
    """``venv``, ``conda`` or ``system``."""
    if (root / "pyvenv.cfg").is_file():
        return VENV
    return CONDA if (root / "conda-meta").is_dir() else SYSTEM


def python_of(root: Path) -> str | None:
    """The environment's interpreter as it names it, or None when it is not there (any more)."""
    for name in ("python", "python3"):
        python = root / "bin" / name
        if os.access(python, os.X_OK):
            return str(python)
    return None


def python_version_of(root: Path) -> str | None:
    """``"3.11.2"``, or only ``"3.11"`` where nothing on disk tells the last number."""
    kind = kind_of(root)
    if kind == VENV:
        settings = _pyvenv_settings(root)
        # venv writes `version`, virtualenv and uv write `version_info`, the former as "3.11.7.final.0".
        version = settings.get("version") or settings.get("version_info", "")
        match = re.match(r"\d+\.\d+(\.\d+)?", version)
        if match:
            return match[0]
    if kind == CONDA:
        for record in root.glob("conda-meta/python-[0-9]*.json"):
            return record.name.split("-")[1]
    return _minor_version(root)


def environment_of_script(script: str, search_path: str) -> str | None:
    """Path of the environment that a console script such as ``jupyterhub-singleuser`` runs in.

    ``script`` is a path, or a bare name that is looked up on ``search_path``. The environment is named as
    the script is: one called through a link keeps the link. None when the script is not found or no
    environment can be told from it.
    """
    found = find_program(script, search_path)
    if found is None:
        return None
    beside = found.parent.parent
    if kind_of(beside) != SYSTEM:
        return str(beside)
    python = _interpreter_of(found, search_path)
    return str(Path(python).parent.parent) if python else None


def environment_of_python(python: str, search_path: str) -> str | None:
    """Path of the environment of an interpreter, which is a path or a bare name on ``search_path``."""
    found = find_program(python, search_path)
    return str(found.parent.parent) if found else None


def environment_of_command(command: Sequence[str], search_path: str) -> str | None:
    """Path of the environment that e.g. ``["env", "A=1", "/opt/x/bin/jupyterhub-singleuser"]`` runs in.

    None when no word of the command names one.
    """
    for word in command:
        find = environment_of_python if _is_python(word) else environment_of_script
        found = find(word, search_path) if not word.startswith("-") else None
        if found:
            return found
    return None


def find_program(name: str, search_path: str) -> Path | None:
    """An absolute path as it is, a bare name as found on ``search_path``; None when it is not there."""
    if os.path.isabs(name):
        return Path(name) if Path(name).is_file() else None
    for folder in search_path.split(os.pathsep):
        candidate = Path(folder, name)
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    return None


def expand_environments(patterns: Iterable[str]) -> list[str]:
    """Paths of environments from paths and globs; a glob takes only folders that have a ``bin/python``.

    Raises HubError when a pattern leads to nothing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if glob.has_magic(pattern):
            matches = [path for path in sorted(glob.glob(pattern)) if os.path.lexists(f"{path}/bin/python")]
        else:
            matches = [pattern.rstrip("/") or "/"] if Path(pattern).is_dir() else []
        if not matches:
            raise HubError(f"There is no Python environment at {pattern}.")
        found.update(dict.fromkeys(matches))
    return list(found)


def site_packages(root: Path) -> list[Path]:
    """Folders that hold the environment's packages, in the order of its ``sys.path``.

    Raises HubError when there is none, or it may not be read.
    """
    try:
        folders = list(_site_packages(root))
    except PermissionError as error:
        raise HubError(f"{error.filename} may not be read.", NEEDS_ROOT) from None
    if not folders:
        raise HubError(f"There is no Python environment at {root}.")
    return folders


def _site_packages(root: Path) -> Iterator[Path]:
    kind = kind_of(root)
    roots = [root]
    if kind == SYSTEM:
        # Debian's own Python looks in /usr/local first; so does everybody's who installs with pip there.
        roots = [Path("/usr/local"), root] if root == Path("/usr") else [root]
    elif _pyvenv_settings(root).get("include-system-site-packages", "").lower() == "true":
        base = Path(_pyvenv_settings(root)["home"]).parent
        yield from _own_site_packages(root)
        yield from _site_packages(base)
        return
    for each in roots:
        yield from _own_site_packages(each)


def _own_site_packages(root: Path) -> Iterator[Path]:
    seen = set()
    for lib in ("lib", "lib64"):
        try:
            names = os.listdir(root / lib)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in sorted(names, key=_version_key, reverse=True):
            if not re.fullmatch(r"python3(\.\d+)?", name):
                continue
            for leaf in ("site-packages", "dist-packages"):
                folder = root / lib / name / leaf
                real = os.path.realpath(folder)
                if real not in seen and os.path.isdir(real):
                    seen.add(real)
                    yield folder


def _version_key(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _installed_in(folder: Path, package: str | None = None) -> Iterator[tuple[str, str]]:
    try:
        entries = os.listdir(folder)
    except PermissionError as error:
        raise HubError(f"{folder} may not be read.", NEEDS_ROOT) from error
    start = package.replace("-", "_") if package else ""
    suffixes = (".dist-info", ".egg-info")
    for entry in sorted(name for name in entries if name.endswith(suffixes)):
        if not entry.lower().startswith(start):
            continue
        metadata = folder / entry
        if metadata.is_dir():
            metadata = metadata / ("METADATA" if entry.endswith(".dist-info") else "PKG-INFO")
        read = _read_metadata(metadata)
        if read:
            yield read


def _read_metadata(metadata: Path) -> tuple[str, str] | None:
    """Name and version; None when the file is not there, as in what a broken removal leaves behind."""
    name = version = ""
    try:
        with metadata.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("Name:"):
                    name = line[5:].strip()
                elif line.startswith("Version:"):
                    version = line[8:].strip()
                elif not line.strip() or (name and version):
                    break
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (normalised(name), version) if name and version else None


def normalised(name: str) -> str:
    """A package's name after PEP 503: ``Jupyter_Server`` is ``jupyter-server``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pyvenv_settings(root: Path) -> dict[str, str]:
    settings = {}
    config = root / "pyvenv.cfg"
    if config.is_file():
        for line in config.read_text(encoding="utf-8", errors="replace").splitlines():
            key, equals, value = line.partition("=")
            if equals:
                settings[key.strip().lower()] = value.strip()
    return settings


def _minor_version(root: Path) -> str | None:
    """From what ``bin/python3`` links to, else from the newest ``lib/python3.x``."""
    python = python_of(root)
    match = re.search(r"python(3\.\d+)$", os.path.realpath(python)) if python else None
    if match:
        return match[1]
    versions = [folder.name[len("python") :] for folder in root.glob("lib/python3.*") if folder.is_dir()]
    return max(versions, key=_version_key) if versions else None


def _interpreter_of(script: Path, search_path: str) -> str | None:
    """The Python that a script runs in: its shebang, or the first Python a shell wrapper names."""
    with script.open("rb") as file:
        text = file.read(4096).decode("utf-8", "replace")
    if not text.startswith("#!"):
        return None
    words = shlex.split(text.split("\n", 1)[0][2:], comments=False)
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        words = [str(find_program(words[0], search_path) or "")] if words else []
    if words and _is_python(words[0]):
        return words[0]
    # pip writes `'''exec' "/long path/bin/python" "$0" "$@"` into a shell script where a shebang gets too
    # long; wrappers name the Python or the real script they call.
    called = re.search(r"""["']?(/[^"'\n]*?/bin)/(?:python[\d.]*|jupyter[\w-]*)\b""", text.split("\n", 1)[1])
    return f"{called[1]}/python" if called else None


def _is_python(word: str) -> bool:
    return re.match(r"(python|pypy)[\d.]*$", os.path.basename(word)) is not None
