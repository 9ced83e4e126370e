"""Links that lead out of an environment: what an installer writes through one changes the hub that serves."""

from __future__ import annotations

import contextlib
import csv
import os
from pathlib import Path
from typing import Iterator, NamedTuple, Union

from ..errors import HubError
from ..system import files
from . import conda_records
from .layout import site_packages
from .relocation import walk

PathLike = Union[str, Path]

REMEDY = (
    "Replace the link by a copy of what it leads to; or name the environment's interpreter in "
    "jupyterhub_python, to have the environment built from its list of packages."
)


#: Bytes of the list of a package's files: more than any has.
MOST_OF_RECORD = 64 * 1024 * 1024


class Link(NamedTuple):
    """A symbolic link within an environment, and what it says."""

    path: str
    target: str


def in_the_way(root: PathLike) -> list[Link]:
    """Links to folders outside in which packages have files: there an installer would write and remove.

    Other links are no harm: to the interpreter, to data of the site, to a package that is being developed.
    """
    leading = [link for link in _leading_out(str(root)) if os.path.isdir(link.path)]
    folders = _folders_of(_recorded(str(root))) if leading else set()
    return [link for link in leading if link.path in folders]


def require_none_in_the_way(root: PathLike, environment: PathLike) -> None:
    """Raise HubError where an installer would leave ``root``, which is ``environment`` or a copy of it."""
    for link in in_the_way(root):
        raise HubError(f"{_leads_out(link, root, environment)}. Nothing was installed.", REMEDY)


@contextlib.contextmanager
def confined(root: PathLike, environment: PathLike) -> Iterator[None]:
    """Keep an installer within ``root``, which is ``environment`` or a copy of it.

    Links that lead out are away while it works. Raises HubError for one that packages need: before anything
    is installed where they have files behind it, afterwards where the installation brought something for its
    place.
    """
    require_none_in_the_way(root, environment)
    away = _replaceable(str(root))
    for link in away:
        os.unlink(link.path)
    yield
    for link in away:
        if os.path.lexists(link.path):
            if os.path.islink(link.path) and os.readlink(link.path) == link.target:
                continue  # As an old conda makes those to its own programs, each time.
            raise HubError(
                f"{_leads_out(link, root, environment)}, and the installation has something for its place.",
                REMEDY,
            )
        os.symlink(link.target, link.path)


def lead_back(copy: PathLike, original: PathLike) -> None:
    """Lead those links of a copy to the copy itself that lead to its original, as absolute ones do."""
    roots = (str(original), os.path.realpath(original))
    for link in _leading_out(str(copy)):
        target = _absolute(link)
        for root in roots:
            if _is_within(target, root):
                os.unlink(link.path)
                os.symlink(str(copy) + target[len(root) :], link.path)
                break


def _leads_out(link: Link, root: PathLike, environment: PathLike) -> str:
    place = f"{environment}{link.path[len(str(root)) :]}"
    return f"{place} leads out of the environment, to {link.target}"


def _leading_out(root: str) -> list[Link]:
    """Links that lead out by themselves; another link that one leads to is looked at by itself."""
    roots = (root, os.path.realpath(root))
    links = (Link(each.path, os.readlink(each.path)) for each in walk(root) if each.is_symlink())
    return [link for link in links if not any(_is_within(_absolute(link), each) for each in roots)]


def _absolute(link: Link) -> str:
    return os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(link.path)), link.target))


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")


def _replaceable(root: str) -> list[Link]:
    """Links that lead out, without what an installer needs and the files of packages, which it replaces."""
    recorded = _recorded(root)
    return [link for link in _leading_out(root) if not _is_kept(link, root, recorded)]


def _is_kept(link: Link, root: str, recorded: set[str]) -> bool:
    if os.path.isdir(link.path):
        return False
    folder, name = os.path.split(os.path.relpath(link.path, root))
    is_interpreter = folder == "bin" and name.startswith("python")
    return is_interpreter or not folder or link.path in recorded


def _recorded(root: str) -> set[str]:
    """Paths of the files that packages have in an environment, by their own records."""
    found = {
        os.path.normpath(f"{root}/{file}")
        for record in conda_records.records(Path(root)).values()
        for file in record.files
    }
    for folder in site_packages(Path(root)):
        if not _is_within(str(folder), root):
            continue  # The system's packages, which the environment only sees.
        for record in folder.glob("*.dist-info/RECORD"):
            lines = files.beginning(record, MOST_OF_RECORD).splitlines()
            found.update(os.path.normpath(folder / row[0]) for row in csv.reader(lines) if row)
    return found


def _folders_of(files: set[str]) -> set[str]:
    """The folders of files, and all folders above."""
    folders: set[str] = set()
    for folder in {os.path.dirname(file) for file in files}:
        while folder not in folders and folder != os.path.dirname(folder):
            folders.add(folder)
            folder = os.path.dirname(folder)
    return folders
