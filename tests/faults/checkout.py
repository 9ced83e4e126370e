"""A copy of the collection in its present state, so that one session tests one state of the code."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tests.testbed.hub import REPOSITORY
from tests.testbed.staged import staged_image

PARTS = ("playbooks", "plugins", "roles", "meta", "galaxy.yml", "ansible.cfg")


def copy(folder: Path) -> Path:
    """Copy the collection to ``folder``, so that playbooks can be run there."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    link = folder / ".collections/ansible_collections/hubops/jupyterhub"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../..")
    return folder


def digest(folder: Path, kind: str, *more: Path) -> str:
    """A hash that identifies this state of the code, of the image of a kind of hub, and of more files."""
    total = hashlib.sha256(staged_image(kind).encode())
    for file in more:
        total.update(file.read_bytes())
    for part in PARTS:
        found = folder / part
        for file in [found] if found.is_file() else sorted(found.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return total.hexdigest()[:12]
