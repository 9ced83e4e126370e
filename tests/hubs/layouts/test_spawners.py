"""Hubs whose servers are started by something else than JupyterHub's own spawners."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.exchange import exchange
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import is_alive
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder

from tests.hubs.real_hub import environment, link_environment, running_hub, stopped_hub

OLD, NEW = "4.1.6", "6.1.1"
SPAWNERS = ("sudospawner", "jupyterhub-systemdspawner", "batchspawner", "wrapspawner", "jupyter-server")
TOKEN = "token-of-the-test"
SECONDS = 60
#: {people} is another environment than the hub's.
PROFILES = """
c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.ProfilesSpawner.profiles = [
    ("sudo", "sudo", "sudospawner.SudoSpawner", {{"sudospawner_path": "{people}/bin/sudospawner"}}),
    ("batch", "batch", "batchspawner.SlurmSpawner", {{"req_partition": "long"}}),
]
"""


@pytest.mark.parametrize(
    ("config", "commands", "elsewhere"),
    [
        (
            "c.JupyterHub.spawner_class = 'sudo'\n"
            "c.SudoSpawner.sudospawner_path = '{people}/bin/sudospawner'\n",
            [["{people}/bin/jupyterhub-singleuser"]],
            [],
        ),
        (
            "c.JupyterHub.spawner_class = 'systemd'\n"
            "c.SystemdSpawner.extra_paths = ['/gone', '{people}/bin']\n"
            "c.Spawner.cmd = ['jupyterhub-singleuser', '--debug']\n",
            [["{people}/bin/jupyterhub-singleuser", "--debug"]],
            [],
        ),
        (
            "c.Spawner.environment = {{'PATH': '{people}/bin:/usr/bin', 'A': 'b'}}\n",
            [["{people}/bin/jupyterhub-singleuser"]],
            [],
        ),
        (
            "c.JupyterHub.spawner_class = 'batchspawner.SlurmSpawner'\n",
            [["jupyterhub-singleuser"]],
            ["SlurmSpawner"],
        ),
        (
            "c.JupyterHub.spawner_class = 'wrapspawner.WrapSpawner'\n"
            "c.WrapSpawner.child_config = {{'cmd': ['{people}/bin/jupyterhub-singleuser']}}\n",
            [["{people}/bin/jupyterhub-singleuser"]],
            [],
        ),
        (
            PROFILES,
            [["{people}/bin/jupyterhub-singleuser"], ["jupyterhub-singleuser"]],
            ["SlurmSpawner"],
        ),
    ],
    ids=["sudospawner", "systemdspawner", "PATH", "batchspawner", "wrapspawner", "profiles"],
)
def test_the_environments_of_servers(
    config: str, commands: list[list[str]], elsewhere: list[str], tmp_path: Path
) -> None:
    people = environment(OLD, "jupyter-server")
    place = environment(OLD, *SPAWNERS)
    with stopped_hub(OLD, tmp_path, config=config.format(people=people), place=place) as found:
        expected = [[word.format(people=people) for word in command] for command in commands]
        assert found.spawner.commands == expected
        assert found.spawner.elsewhere == elsewhere
        outside = [str(people)] if any(str(people) in command[0] for command in expected) else []
        assert [each.path for each in found.user_environments] == outside


#: A batch system of one host: a job is a session of its own, and its number that of its first process.
SUBMIT = """#!/bin/sh
cat > {folder}/job
setsid sh {folder}/job > {folder}/job.log 2>&1 &
echo $!
"""
BATCH = """
import batchspawner
from traitlets import Unicode

class SiteSpawner(batchspawner.BatchSpawnerRegexStates):
    batch_script = Unicode("exec {{cmd}}")
    batch_submit_cmd = Unicode("{folder}/submit")
    batch_query_cmd = Unicode("kill -0 {{job_id}} && echo running at 127.0.0.1")
    batch_cancel_cmd = Unicode("kill -- -{{job_id}}")
    state_pending_re = Unicode("waiting")
    state_running_re = Unicode("running")
    state_exechost_re = Unicode(r"at ([\\d.]+)")
    exec_prefix = Unicode("")
    req_homedir = Unicode("{folder}")

c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.ProfilesSpawner.profiles = [
    ("batch", "batch", SiteSpawner, {{}}),
    ("sudo", "sudo", "sudospawner.SudoSpawner", {{}}),
    ("systemd", "systemd", "systemdspawner.SystemdSpawner", {{}}),
]
c.JupyterHub.cleanup_servers = False
c.Spawner.args = ["--allow-root"]
c.JupyterHub.services = [{{"name": "test", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "test", "scopes": ["admin:users", "admin:servers"], "services": ["test"]}}
]
"""
#: What the spawners of servers that do not run have left, one for each of the other profiles.
LEFT = {
    2: '{"profile": "sudo", "child_conf": {}, "child_state": {"pid": 4242}}',
    3: '{"profile": "systemd", "child_conf": {}, "child_state": {"unit_name": "jupyter-user2"}}',
}


def states(folder: Path) -> dict[int, str]:
    """The text of each spawner's state, as it is in the database, by the user's number."""
    with closing(sqlite3.connect(folder / "jupyterhub.sqlite")) as connection:
        return dict(connection.execute("SELECT user_id, state FROM spawners WHERE state IS NOT NULL"))


def test_a_job_goes_on_and_no_state_changes(tmp_path: Path) -> None:
    place = link_environment(OLD, tmp_path / "environment", *SPAWNERS)
    new = link_environment(NEW, tmp_path / "new", *SPAWNERS)
    (tmp_path / "submit").write_text(SUBMIT.format(folder=tmp_path))
    (tmp_path / "submit").chmod(0o755)
    config = BATCH.format(folder=tmp_path, token=TOKEN)
    with running_hub(OLD, tmp_path, config=config, place=place) as found:
        assert found.spawner.elsewhere == ["SiteSpawner"]
        url = found.config.hub_api_url
        api.ask(f"{url}/users/user0/server", TOKEN, "POST", {"profile": "batch"})
        deadline = time.monotonic() + SECONDS
        while not api.ask(f"{url}/users/user0", TOKEN).body["servers"].get("", {}).get("ready"):
            assert time.monotonic() < deadline, (tmp_path / "job.log").read_text()
            time.sleep(0.1)
        with closing(sqlite3.connect(tmp_path / "jupyterhub.sqlite")) as connection, connection:
            for user, state in LEFT.items():
                connection.execute(
                    "INSERT INTO spawners (user_id, name, state) VALUES (?, '', ?)", (user, state)
                )
        before = states(tmp_path)
        assert set(before) == {1, *LEFT}

        base = str(tmp_path / "state")
        lifecycle.stop(found, base, "a test", SECONDS)
        folder = state_folder(found.name, base)
        context = service_of(found.service).context()
        migration.migrate(database_of(found.database), context, str(new), folder)
        exchange(place, new)
        lifecycle.start(found, base, NEW, SECONDS)

        assert states(tmp_path) == before
        [server] = api.ask(f"{url}/users/user0", TOKEN).body["servers"].values()
        assert server["ready"]
        # The new hub ends a job that the old one has begun: it knows its number.
        api.ask(f"{url}/users/user0/server", TOKEN, "DELETE")
        job = int(json.loads(before[1])["child_state"]["job_id"])
        deadline = time.monotonic() + SECONDS
        while is_alive(job):
            assert time.monotonic() < deadline, service_of(found.service).log_since("")
            time.sleep(0.1)
