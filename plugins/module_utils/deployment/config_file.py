"""The line of a hub's config that names its database: found without running it, shown, and changed."""

from __future__ import annotations

import ast
import difflib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..databases import urls
from ..errors import HubError
from ..system import files

OPTION = "JupyterHub.db_url"


@dataclass(frozen=True)
class Assignment:
    """The one place in a config at which ``c.JupyterHub.db_url`` gets its value, a plain text."""

    file: Path
    """That the config's name leads to, whatever links are on the way."""
    value: str
    start: int
    end: int
    """Of the text in the file, in bytes."""

    def changed(self, url: str) -> bytes:
        """The file with another value; nothing else of it is changed."""
        content = self.file.read_bytes()
        return content[: self.start] + ascii(url).encode() + content[self.end :]

    def diff(self, url: str) -> str:
        """The change as a unified diff of its lines, with passwords replaced by ``***``."""
        before, after = (self.changed(urls.mask(each)).decode(errors="replace") for each in (self.value, url))
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), str(self.file), str(self.file), n=0, lineterm=""
        )
        return "\n".join(lines)

    def write(self, url: str) -> None:
        """Give it another value: the file keeps its owner and mode, and is whole at any moment.

        Raises HubError when it cannot be written.
        """
        files.write(self.file, self.changed(url), mode=stat.S_IMODE(self.file.stat().st_mode))

    @property
    def is_open(self) -> bool:
        """Whether everybody on the host may read the file."""
        return bool(self.file.stat().st_mode & stat.S_IROTH)


def find(config_files: Sequence[str], url: str, options: Sequence[str]) -> Assignment:
    """The assignment that gives a hub its database.

    ``config_files`` are the config and all that it includes, ``url`` the value that the hub has read from it,
    with its password masked, ``options`` the names of `JupyterHub`'s options that it sets. Raises HubError
    where the value comes from somewhere else, or there is not exactly one assignment.
    """
    paths = [os.path.realpath(name) for name in config_files if name.endswith(".py")]
    found = [each for path in dict.fromkeys(paths) for each in _assignments(Path(path))]
    where = ", ".join(f"{path}:{node.lineno}" for path, node in found)
    if not found:
        raise HubError(*_nowhere(config_files, "db_url" in options))
    if len(found) > 1:
        raise HubError(
            f"c.{OPTION} is set at {len(found)} places: {where}.", "Have it be set at one place only."
        )
    path, value = found[0]
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        raise HubError(
            f"c.{OPTION} is no plain text at {where}, but comes from the environment or from code.",
            "Write the present address there as a plain text, and restart the hub with that first.",
        )
    if urls.mask(value.value) != url:
        raise HubError(
            f"c.{OPTION} is {urls.mask(value.value)} at {where}, but the hub's database is {url}.",
            "Something else sets it, such as the service's command: have it be set at that place only.",
        )
    assignment = Assignment(path, value.value, *_place(path.read_bytes(), value))
    if _value_of(assignment) != value.value:
        raise HubError(f"{path} is not in UTF-8 without a mark at its beginning.", "Save it as that.")
    return assignment


def value_in(path: Path) -> str:
    """The address that a config file sets as a plain text, with its password; '' where it sets none."""
    values = [node.value for _path, node in _assignments(path) if isinstance(node, ast.Constant)]
    return str(values[-1]) if values else ""


def _nowhere(config_files: Sequence[str], is_set: bool) -> tuple[str, str]:
    """Why no assignment was found, and what to do."""
    if is_set:
        return (
            f"c.{OPTION} is set, but by no assignment in {', '.join(config_files) or 'a config file'}.",
            "Set it there as a plain text, instead of in the service's command, or by code.",
        )
    return (
        f"No config file sets c.{OPTION}: the hub has its default database.",
        f"Write the present address into the config first: c.{OPTION} = '...'.",
    )


def _assignments(path: Path) -> Iterator[tuple[Path, ast.expr]]:
    """The values that ``<name>.JupyterHub.db_url`` is given in a file of Python; none in one that is not."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(map(_is_option, node.targets)):
            yield path, node.value


def _value_of(assignment: Assignment) -> object:
    """What stands at its place, as Python reads it; None where that is no literal."""
    found = assignment.file.read_bytes()[assignment.start : assignment.end]
    try:
        return ast.literal_eval(f"({found.decode()})")
    except (SyntaxError, ValueError):
        return None


def _is_option(target: ast.expr) -> bool:
    """Whether it is ``<anything>.JupyterHub.db_url``."""
    return (
        isinstance(target, ast.Attribute)
        and target.attr == "db_url"
        and isinstance(target.value, ast.Attribute)
        and target.value.attr == "JupyterHub"
    )


def _place(content: bytes, node: ast.expr) -> tuple[int, int]:
    """Where a node begins and ends in a file, in bytes; Python counts its columns in bytes, too."""
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return starts[node.lineno - 1] + node.col_offset, starts[end_line - 1] + end_column
