"""Hubs whose servers are started by something else than JupyterHub's own spawners."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api

from tests.hubs.playbook import upgrade
from tests.hubs.real_hub import build, environment, running_hub, stopped_hub

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
            ["batchspawner.batchspawner.SlurmSpawner"],
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
            ["batchspawner.batchspawner.SlurmSpawner"],
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


@pytest.mark.alone
def test_a_job_goes_on_while_its_hub_is_upgraded(tmp_path: Path) -> None:
    place = tmp_path / "environment"
    build(place, OLD, "supervisor", *SPAWNERS)
    (tmp_path / "submit").write_text(SUBMIT.format(folder=tmp_path))
    (tmp_path / "submit").chmod(0o755)
    config = BATCH.format(folder=tmp_path, token=TOKEN)
    with running_hub(OLD, tmp_path, config=config, place=place) as found:
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

        report = upgrade(found.name, NEW, tmp_path)

        print(report["printed"])
        assert report["outcome"] == "upgraded", report
        assert states(tmp_path) == before
        [server] = api.ask(f"{url}/users/user0", TOKEN).body["servers"].values()
        assert (api.version(url), server["ready"]) == (NEW, True)
        assert "SiteSpawner may start servers on other hosts." in " ".join(report["warnings"])
        api.ask(f"{url}/users/user0/server", TOKEN, "DELETE")
        assert 0
