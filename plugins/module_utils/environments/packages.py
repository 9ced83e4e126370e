"""The packages of an environment, read from their metadata on disk."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from pathlib import Path
from typing import Iterator

from ..errors import HubError
from ..releases.requirements import normalised
from ..system import files
from ..system.execution_context import NEEDS_ROOT
from .layout import site_packages

# What decides whether a hub or a single-user server works, by normalised name.
RELATED_PACKAGES = (
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


#: A single-user server is an extension of one of these.
SERVERS = ("jupyter-server", "notebook")


def related(packages: dict[str, str]) -> dict[str, str]:
    """Those of ``packages`` that JupyterHub has to do with."""
    return {
        name: version
        for name, version in sorted(packages.items())
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in RELATED_PACKAGES)
    }


#: Name and version are at the beginning, before lists that may be long.
_MOST_OF_METADATA = 16 * 1024


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


def can_serve(path: str | os.PathLike[str]) -> bool:
    """Whether an environment has what a single-user server needs; raises HubError as `all_packages`."""
    packages = all_packages(path)
    return any(name in packages for name in SERVERS)


def addresses(root: Path) -> dict[str, str]:
    """``{normalised name: address}`` of what was not installed from an index, as PEP 610 has it recorded."""
    found: dict[str, str] = {}
    for folder in site_packages(root):
        for record in folder.glob("*.dist-info/direct_url.json"):
            read = _read_metadata(record.with_name("METADATA"))
            origin = json.loads(files.beginning(record))
            version_control = origin.get("vcs_info")
            address = str(origin["url"])
            if version_control:
                address = f"{version_control['vcs']}+{address}@{version_control['commit_id']}"
            if origin.get("subdirectory"):
                address += f"#subdirectory={origin['subdirectory']}"
            if read:
                found.setdefault(read[0], address)
    return found


def declared_requirements(root: Path) -> dict[str, list[str]]:
    """``{normalised name: [Requires-Dist]}`` of everything installed in the environment.

    Raises HubError when there is no environment at ``root`` or it may not be read.
    """
    found: dict[str, list[str]] = {}
    for folder in site_packages(root):
        for metadata in folder.glob("*.dist-info/METADATA"):
            header = files.beginning(metadata).split("\n\n", 1)[0]
            name = re.search(r"^Name: *(\S+)", header, re.MULTILINE)
            if name:
                requires = re.findall(r"^Requires-Dist: *(.*)$", header, re.MULTILINE)
                found.setdefault(normalised(name[1]), requires)
    return found


def requirement_files(root: Path) -> dict[str, list[str]]:
    """``{path: [line]}`` of the lists of requirements that packages have among their own files.

    A distribution of JupyterHub, as The Littlest JupyterHub, installs from them what it is made of.
    """
    return {
        str(file): [line.strip() for line in file.read_text("utf-8", "replace").splitlines()]
        for folder in site_packages(root)
        for file in sorted(folder.glob("*/*requirements*.txt"))
    }


def installed_version(path: str | os.PathLike[str], package: str) -> str | None:
    """Version of one package of the environment, or None; cheaper than `all_packages`.

    Raises HubError when there is no environment at ``path`` or it may not be read.
    """
    for folder in site_packages(Path(path)):
        for name, version in _installed_in(folder, package):
            if name == package:
                return version
    return None


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
        lines = files.beginning(metadata, _MOST_OF_METADATA).splitlines()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    for line in lines:
        if line.startswith("Name:"):
            name = line[5:].strip()
        elif line.startswith("Version:"):
            version = line[8:].strip()
        elif not line.strip() or (name and version):
            break
    return (normalised(name), version) if name and version else None
