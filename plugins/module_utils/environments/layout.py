"""Where an environment keeps its interpreter and its packages, read from disk without starting anything."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator

from ..errors import HubError
from ..system import files
from ..system.execution_context import NEEDS_ROOT
from ..system.image_places import ImagePlace

VENV = "venv"
CONDA = "conda"
SYSTEM = "system"
IMAGE = "image"


def kind_of(root: Path) -> str:
    """``venv``, ``conda``, ``image`` or ``system``."""
    if ImagePlace.of(root):
        return IMAGE
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


def prefix_of(root: Path) -> str:
    """Where programs that run in the environment see it: its own path, or that within an image."""
    place = ImagePlace.of(root)
    return place.prefix if place else str(root)


def python_version_of(root: Path) -> str | None:
    """``"3.11.2"``, or only ``"3.11"`` where nothing on disk tells the last number."""
    kind = kind_of(root)
    place = ImagePlace.of(root)
    if place:
        return place.python_version
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


def site_packages(root: Path) -> list[Path]:
    """Folders that hold the environment's packages, in the order of its ``sys.path``.

    Raises HubError when there is none, or it may not be read.
    """
    try:
        folders = list(_site_packages(root))
    except PermissionError as error:
        raise HubError(f"{error.filename} may not be read.", NEEDS_ROOT) from None
    if not folders:
        raise HubError(
            f"There is no Python environment at {root}.", "Name the folder that has its bin/python."
        )
    return folders


def _site_packages(root: Path) -> Iterator[Path]:
    kind = kind_of(root)
    roots = [root]
    if kind == SYSTEM:
        # Debian's own Python looks in /usr/local first; so does everybody's who installs with pip there.
        roots = [root / "local", root]
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


def _pyvenv_settings(root: Path) -> dict[str, str]:
    settings = {}
    config = root / "pyvenv.cfg"
    if config.is_file():
        for line in files.beginning(config).splitlines():
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
