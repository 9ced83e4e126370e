"""Hubs that something else starts are found and asked as they run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.verification import verify
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of

from tests.hubs.real_hub import environment, link_environment, running_hub, stopped_hub
from tests.plans import planned_environment


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
        assert deployment.service.log_file == str(tmp_path / ("own.log" if ">>" in command else "hub.log"))


def test_the_log_is_read_from_the_file_that_a_shell_writes(tmp_path: Path) -> None:
    command = "/bin/bash -c 'exec {hub} >> {folder}/own.log 2>&1'"
    with running_hub("4.1.6", tmp_path, command=command) as deployment:
        service = service_of(deployment.service)
        service.stop(20)
        (tmp_path / "jupyterhub_config.py").write_text("raise KeyError('no such thing')")
        mark = service.log_mark()
        service.start()
        with pytest.raises(HubError, match="(?s)The hub exited at its start.*KeyError: 'no such thing'"):
            lifecycle.wait_for_version(service, deployment.config.hub_api_url, "4.1.6", 30, mark)


SOURCED = """
import os
c.JupyterHub.db_url = os.environ["HUB_DB"]
c.JupyterHub.admin_users = {os.environ["HUB_ADMIN"]}
"""
#: Reads a file and the output of a program: what they set, only the process knows.
SCRIPT = "/bin/bash -c 'set -a; . {folder}/hub.env; export HUB_DB=$(cat {folder}/hub.db); exec {hub}'"


def write_sources(folder: Path) -> None:
    (folder / "hub.env").write_text("HUB_ADMIN=user0\n")
    (folder / "hub.db").write_text(f"sqlite:///{folder}/jupyterhub.sqlite\n")


def rehearsed(deployment: Deployment, folder: Path) -> list[str]:
    """Ids of what a rehearsal of the upgrade finds beside notes."""
    place = deployment.hub_environment.path
    staged = link_environment("6.1.1", folder / "staged")
    entry = planned_environment(Path(place), "6.1.1", staged_path=str(staged))
    with migration.passing(folder / "state"):
        done = rehearsal.rehearse(deployment, [entry], "6.1.1", folder / "state", start_timeout=60)
    return [each.id for each in done.findings if each.severity != "note"]


def test_a_script_that_reads_what_it_sets(tmp_path: Path) -> None:
    write_sources(tmp_path)
    with running_hub("4.1.6", tmp_path, command=SCRIPT, config=SOURCED) as deployment:
        assert deployment.database.path == str(tmp_path / "jupyterhub.sqlite")
        assert deployment.authenticator.admins
        assert rehearsed(deployment, tmp_path) == []


def test_such_a_script_while_its_hub_is_stopped(tmp_path: Path) -> None:
    write_sources(tmp_path)
    with pytest.raises(HubError) as error, stopped_hub("4.1.6", tmp_path, command=SCRIPT, config=SOURCED):
        pass
    assert error.value.message.startswith("The hub's config does not load: KeyError: 'HUB_ADMIN'")
    assert "is known while its hub runs" in error.value.hint


def test_uv_finds_the_environment_of_its_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "hub"\nversion = "1"\n')
    place = link_environment("4.1.6", project / ".venv")
    uv = shutil.which("uv", path=os.path.dirname(sys.executable))
    run = f"{uv} run --offline --no-sync --project {project}"
    # The scripts of a linked environment are those of another one.
    command = f"{run} python -m jupyterhub -f {{folder}}/jupyterhub_config.py"
    with running_hub("4.1.6", tmp_path, command=command) as deployment:
        assert deployment.hub_environment.path == str(place)
        assert verify(deployment, version="4.1.6").users == 5


def test_a_search_path_into_the_environment_that_is_exchanged(tmp_path: Path) -> None:
    [packages] = environment("4.1.6").glob("lib/python3*/site-packages")
    command = f"/usr/bin/env PYTHONPATH={packages} {{hub}}"
    with running_hub("4.1.6", tmp_path, command=command) as deployment:
        assert deployment.config.shadowed == {}
        assert rehearsed(deployment, tmp_path) == []
