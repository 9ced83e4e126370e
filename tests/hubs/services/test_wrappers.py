"""Hubs that something else starts are found and asked as they run."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.verification import verify
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of

from tests.hubs.real_hub import environment, running_hub


@pytest.mark.parametrize(
    "command",
    [
        "/bin/bash -c 'exec {hub} >> {folder}/own.log 2>&1'",
        "/usr/bin/env -C {folder}/elsewhere nice -n 1 {hub}",
    ],
)
def test_a_hub_behind_a_wrapper(command: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    config = f"c.JupyterHub.db_url = 'sqlite:///{tmp_path}/jupyterhub.sqlite'\n"
    with running_hub("4.1.6", tmp_path, command=command, config=config) as deployment:
        found = service_of(deployment.service).hub_command()
        assert found and found.arguments == ["-f", str(tmp_path / "jupyterhub_config.py")]
        assert deployment.config.file == str(tmp_path / "jupyterhub_config.py")
        assert deployment.hub_environment.path == str(environment("4.1.6"))
        assert deployment.service.working_directory == str(
            tmp_path / "elsewhere" if "-C" in command else tmp_path
        )
        assert verify(deployment, version="4.1.6").users == 5
