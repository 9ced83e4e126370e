"""The report of a fleet on the controller, which each hub that ends writes its row of."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.fleet import Fleet, reported
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.fleet_page import contents
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.files import write
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.pages import files


def keep(file: str, fleet: Fleet) -> None:
    """Write the report's files: each is whole at any moment."""
    for path, content in files(file, contents(fleet)).items():
        write(path, content.encode(), 0o644)


def add(file: str, host: str, report: dict[str, Any]) -> None:
    """Write a hub's row; hubs that end together wait for each other."""
    with _locked(file):
        path = Path(file).expanduser()
        fleet = from_dict(Fleet, json.loads(path.read_text(encoding="utf-8")))
        keep(file, reported(fleet, host, report))


@contextlib.contextmanager
def _locked(file: str) -> Iterator[None]:
    # The folder, since the file itself is replaced.
    folder = Path(file).expanduser().parent
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context((folder / f".{Path(file).name}.lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
