"""Files in an environment that belong to no package: a site's own modules, scripts, configs and data."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import Iterator

from .layout import site_packages

#: What venv, virtualenv, uv and installers make for themselves, by its path in the environment.
_MADE = re.compile(
    r"pyvenv\.cfg|\.gitignore|\.lock|CACHEDIR\.TAG|\.hubops-staged\.json|lib64|include/.*|.*\.pyc"
    r"|bin/(activate.*|Activate\.ps1|deactivate\..*|pydoc\..*|python[\d.]*)"
    r"|lib/python3[^/]*/site-packages/(_virtualenv\.(py|pth)|[^/]*\.(dist|egg)-info/.*)"
)
_PACKAGES = re.compile(r"lib/python3[^/]*/site-packages/")


def own_files(root: Path) -> list[str]:
    """Their paths in the environment at ``root``, in order; sockets and the like are none of them."""
    installed = set(_installed(root))
    return sorted(path for path in _files(root) if path not in installed and not _MADE.fullmatch(path))


def carry_over(old: Path, new: Path) -> list[str]:
    """Copy them into an environment that was built again, perhaps for another Python; return their paths.

    They keep owner, mode and time. What the new one has already stays as it is.
    """
    carried = []
    for path in own_files(old):
        target = new / _moved(path, new)
        if os.path.lexists(target):
            continue
        for folder in reversed(Path(path).parents[:-1]):
            if not _PACKAGES.match(f"{folder}/") and not (new / folder).exists():
                (new / folder).mkdir()
                _dress(old / folder, new / folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(old / path, target, follow_symlinks=False)
        _dress(old / path, target)
        carried.append(path)
    return carried


def _moved(path: str, new: Path) -> str:
    """The path in the new environment, whose packages are in the folder of its own Python."""
    found = _PACKAGES.match(path)
    return f"{site_packages(new)[0].relative_to(new)}/{path[found.end() :]}" if found else path


def _dress(like: Path, path: Path) -> None:
    found = like.lstat()
    if os.geteuid() == 0:
        os.chown(path, found.st_uid, found.st_gid, follow_symlinks=False)
    shutil.copystat(like, path, follow_symlinks=False)


def _files(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in [*files, *folders]:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                yield os.path.relpath(path, root)


def _installed(root: Path) -> Iterator[str]:
    """The files that its packages have installed, as their records say."""
    for folder in site_packages(root):
        for record in folder.glob("*.dist-info/RECORD"):
            for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
                # A path with a comma is quoted.
                name = line[1:].partition('"')[0] if line.startswith('"') else line.partition(",")[0]
                yield os.path.relpath(os.path.normpath(folder / name), root)
