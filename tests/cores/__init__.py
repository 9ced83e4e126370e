"""The supported versions of ansible-core, each installed with a Python that it runs on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.pythons import pythons

#: Each with a Python of hosts and controllers; the oldest first. 2.20 and later need 3.12.
CORES = {"2.17": "3.11", "2.18": "3.11", "2.19": "3.12", "2.20": "3.12", "2.21": "3.13"}
OLDEST, *_, NEWEST = CORES
#: The package `ansible` that has each, with collections of the community.
COMMUNITY = {"2.17": "10", "2.18": "11", "2.19": "12", "2.20": "13", "2.21": "14"}


def install(core: str, folder: Path, *others: str) -> Path:
    """Install an ansible-core, and other packages, into a folder; return the folder of its programs."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv, "uv is missing: make venv"
    # One that is not here is fetched by uv, where it may.
    python = pythons().get(CORES[core], CORES[core])
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", python, folder], check=True)
    wanted = [f"ansible-core=={core}.*", *others]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *wanted], check=True)
    return folder / "bin"
