"""A hub in the system's Python: refused with the steps that lead out of it, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.planner import plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy

from tests.hubs.real_hub import requirements, stopped_hub
from tests.hubs.small_wheels import UV
from tests.testbed.old_conda import LEFT_OUT, PYTHON

CHOSEN = ("configurable-http-proxy==0.4.0", "oauthenticator==16.3.1")


@pytest.fixture
def usr(tmp_path: Path) -> Path:
    """A folder like /usr, with a Python of its own and a hub that was installed right into it."""
    usr, base = tmp_path / "usr", Path(sys.base_prefix)

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if LEFT_OUT.search(os.path.join(folder, name))]

    shutil.copytree(base / "lib" / PYTHON, usr / "lib" / PYTHON, symlinks=True, ignore=left_out)
    (usr / "lib" / PYTHON / "site-packages").mkdir()
    (usr / "bin").mkdir()
    shutil.copy2((base / "bin" / PYTHON).resolve(), usr / "bin" / PYTHON)
    for name in ("python", "python3"):
        (usr / "bin" / name).symlink_to(PYTHON)
    install = [UV, "pip", "install", "--quiet", "--break-system-packages", f"--python={usr}/bin/python3"]
    subprocess.run([*install, *requirements("4.1.6"), *CHOSEN], check=True)
    return usr


def test_a_hub_in_the_systems_python(usr: Path, tmp_path: Path) -> None:
    with stopped_hub("4.1.6", tmp_path, place=usr) as deployment:
        assert deployment.hub_environment.kind == "system"
        made = plan(deployment, "6.1.1", Policy(accept=["hub-not-running"]), InstallerOptions())
        [blocker] = made.blockers
        assert blocker.id == "environment-not-supported"
        assert blocker.found.startswith(f"{usr} is a system environment")
        assert f"`{usr}/bin/python3 -m venv /opt/jupyterhub`" in blocker.fix
        proxy, authenticator = CHOSEN
        packages = f"{proxy} jupyterhub==4.1.6 {authenticator}"
        assert f"`/opt/jupyterhub/bin/pip install {packages}`" in blocker.fix
        assert f"the command of {deployment.service.name}, now `{usr}/bin/jupyterhub -f " in blocker.fix
