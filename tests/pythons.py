"""The Pythons of this machine, for what has to run on all of them."""

from __future__ import annotations

import functools
import glob
import os
import shutil

from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.interpreter import version_of

#: The minor versions of Python 3 that hosts and hubs have.
MINORS = range(8, 14)


@functools.lru_cache(maxsize=None)
def pythons() -> dict[str, str]:
    """``{"3.8": path}`` of one that runs for each minor version there is, on the PATH or of pyenv."""
    found: dict[str, str] = {}
    for minor in MINORS:
        of_pyenv = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/3.{minor}.*/bin/python3")))
        for path in filter(None, [*of_pyenv, shutil.which(f"python3.{minor}")]):
            if version_of(path).startswith(f"3.{minor}."):
                found.setdefault(f"3.{minor}", path)
    return found
