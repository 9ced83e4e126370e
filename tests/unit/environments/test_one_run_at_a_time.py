"""Two runs that work on the same environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.transitions import apply
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress

from tests.plans import planned_environment

HOLD = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_leaves_the_first_alone(tmp_path: Path) -> None:
    place, staged = tmp_path / "hub", tmp_path / "hub.staged-6.1.1"
    for folder in (place, staged):
        (folder / "lib/python3.11/site-packages").mkdir(parents=True)
    entry = planned_environment(place, "6.1.1")

    def discard() -> bool:
        return bool(apply("absent", [entry], "", InstallerOptions(), Progress(None))["changed"])

    argv = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout and first.stdout.readline() == "held\n"
        with pytest.raises(HubError, match=f"Another run works on {place} at this moment."):
            discard()
        assert staged.is_dir()
        first.communicate("")
    assert discard()
    assert not staged.exists()
