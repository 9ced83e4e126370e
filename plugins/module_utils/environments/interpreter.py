"""The interpreter of an environment: whether it runs, and which one of the host could take its place."""

from __future__ import annotations

import glob
import os
import re
import shutil
from pathlib import Path

from ..errors import HubError
from ..progress import Progress
from ..releases.requirements import satisfies
from ..system.image_places import ImagePlace
from ..system.processes import version_of_python
from . import as_owner
from .layout import python_of, python_version_of


def version_of(python: str) -> str:
    """The version of an interpreter, such as ``3.11.2``; '' where it does not run, for its owner."""
    environment = Path(python).parent.parent
    place = ImagePlace.of(environment)
    if place:
        return place.python_version
    try:
        return str(as_owner.do(environment, _version_of, python))
    except HubError:
        return ""


def _version_of(progress: Progress, python: str) -> str:
    return version_of_python(python)


def fault(root: Path) -> str:
    """Why the environment's Python does not run, or not its packages; '' where it does.

    An upgrade of the operating system takes the interpreter of a venv away, or puts another one in its place.
    """
    python = python_of(root)
    found = version_of(python) if python else ""
    if not found:
        target = os.path.realpath(root / "bin" / "python")
        return f"its interpreter {target} {'does not run' if os.path.exists(target) else 'is gone'}"
    made_for = python_version_of(root)
    if made_for and _minor(made_for) != _minor(found):
        return f"its packages are for Python {_minor(made_for)}, and its interpreter is Python {found} now"
    return ""


def choose(preferred: str | None, specifiers: str) -> str:
    """An interpreter of the host: of ``preferred``'s minor version, else ``python3``, else the newest.

    ``specifiers`` are those of Requires-Python, '' for any. Raises HubError where the host has none.
    """
    names = [f"python{_minor(preferred)}"] if preferred else []
    named = [shutil.which(name, path=_search_path()) for name in [*names, "python3"]]
    newest_first = sorted(_numbered(), key=_number, reverse=True)
    for candidate in dict.fromkeys([*filter(None, named), *newest_first]):
        version = version_of(candidate)
        if version and (not specifiers or satisfies(version, specifiers)):
            return candidate
    raise HubError(
        f"The host has no Python {specifiers or 'that runs'}.",
        "Install one, or name it in jupyterhub_python.",
    )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/bin", "/usr/bin"])


def _numbered() -> list[str]:
    """``python3.<n>`` of every folder of the search path."""
    found = (
        path
        for folder in _search_path().split(os.pathsep)
        for path in glob.glob(f"{glob.escape(folder)}/python3.*")
    )
    return [path for path in found if re.fullmatch(r"python3\.\d+", os.path.basename(path))]


def _number(python: str) -> int:
    return int(python.rpartition(".")[2])
