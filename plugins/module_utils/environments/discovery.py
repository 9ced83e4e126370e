"""Which environment a script, an interpreter or a command line runs in."""

from __future__ import annotations

import glob
import os
import re
import shlex
from pathlib import Path
from typing import Callable, Iterable, Sequence

from ..errors import HubError
from ..system.execution_context import find_program
from .layout import SYSTEM, kind_of

#: In a pattern of environments: the name of a user of the hub.
USERNAME = "{username}"


def environment_of_script(script: str, search_path: str) -> str | None:
    """Path of the environment that a console script such as ``jupyterhub-singleuser`` runs in.

    ``script`` is a path, or a bare name that is looked up on ``search_path``. The environment is named as
    the script is: one called through a link keeps the link. None when the script is not found or no
    environment can be determined from it.
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
    """Path of the environment of an interpreter, which is a path or a bare name on ``search_path``.

    The path of one that is gone still tells it.
    """
    gone = os.path.isabs(python) and os.path.islink(python)
    found = Path(python) if gone else find_program(python, search_path)
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


def expand_environments(
    patterns: Iterable[str], users: Callable[[], Iterable[str]] = lambda: ["*"]
) -> list[str]:
    """Paths of environments from paths and globs; a glob takes only folders that have a ``bin/python``.

    `USERNAME` stands for the name of each of the ``users``, which are asked for only then, or for any name.
    Raises HubError when a pattern leads to nothing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if glob.has_magic(pattern) or USERNAME in pattern:
            globs = _for_each(pattern, users) if USERNAME in pattern else [pattern]
            paths = sorted(path for each in globs for path in glob.glob(each))
            matches = [path for path in paths if os.path.lexists(f"{path}/bin/python")]
        else:
            matches = [pattern.rstrip("/") or "/"] if Path(pattern).is_dir() else []
        if not matches:
            raise HubError(
                f"There is no Python environment at {pattern}.",
                "Correct jupyterhub_environment, or jupyterhub_user_environments.",
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def _for_each(pattern: str, users: Callable[[], Iterable[str]]) -> list[str]:
    names = ["*" if name == "*" else glob.escape(name) for name in users()]
    return [pattern.replace(USERNAME, name) for name in names]


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
