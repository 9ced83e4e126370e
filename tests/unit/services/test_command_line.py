from __future__ import annotations

import pwd
import shlex

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.command_line import (
    hub_command,
    is_hub,
    runs_hub,
    with_config_file,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

HERE = ExecutionContext("hub", 1000, 1000, (1000,), "/home/hub", "/srv/hub", {"PATH": "/usr/bin", "A": "1"})


@pytest.mark.parametrize(
    ("command", "program", "arguments"),
    [
        ("/opt/hub/bin/jupyterhub", "/opt/hub/bin/jupyterhub", []),
        ("/opt/hub/bin/jupyterhub -f /etc/c.py", "/opt/hub/bin/jupyterhub", ["-f", "/etc/c.py"]),
        ("/opt/hub/bin/python -m jupyterhub --debug", "/opt/hub/bin/python", ["--debug"]),
        ("/opt/hub/bin/python3.11 -s -W ignore -m jupyterhub", "/opt/hub/bin/python3.11", []),
        ("/opt/hub/bin/python /opt/hub/bin/jupyterhub -f c.py", "/opt/hub/bin/jupyterhub", ["-f", "c.py"]),
        ("/usr/bin/env A=1 jupyterhub --debug", "jupyterhub", ["--debug"]),
        ("nice -n 5 /opt/hub/bin/jupyterhub", "/opt/hub/bin/jupyterhub", []),
        ("conda run -p /opt/conda/envs/hub jupyterhub", "jupyterhub", []),
        ('/bin/bash -lc "exec jupyterhub -f /etc/c.py"', "jupyterhub", ["-f", "/etc/c.py"]),
        ("/bin/sh -c 'cd /srv && jupyterhub; echo over'", "jupyterhub", []),
        ("bash -c 'jupyterhub -f \"/etc/my hub.py\"'", "jupyterhub", ["-f", "/etc/my hub.py"]),
        (
            "/usr/bin/sudo -u jupyterhub A=1 /opt/hub/bin/jupyterhub -f c.py",
            "/opt/hub/bin/jupyterhub",
            ["-f", "c.py"],
        ),
        (
            "/sbin/runuser -u jupyterhub -g jupyterhub -- /opt/hub/bin/jupyterhub",
            "/opt/hub/bin/jupyterhub",
            [],
        ),
        (
            "su jupyterhub -c 'exec /opt/hub/bin/jupyterhub -f c.py'",
            "/opt/hub/bin/jupyterhub",
            ["-f", "c.py"],
        ),
        ("gosu jupyterhub:jupyterhub /opt/hub/bin/jupyterhub", "/opt/hub/bin/jupyterhub", []),
        ("bash -c 'exec jupyterhub -f c.py >> /var/log/hub.log 2>&1'", "jupyterhub", ["-f", "c.py"]),
        ("sh -c 'jupyterhub --debug 2>/dev/null </dev/null'", "jupyterhub", ["--debug"]),
        # How `systemctl show` prints it: without quotes.
        ("/bin/bash -lc cd /srv && exec jupyterhub --debug", "jupyterhub", ["--debug"]),
    ],
)
def test_the_hub_in_a_command_line(command: str, program: str, arguments: list[str]) -> None:
    found = hub_command(shlex.split(command))
    assert found is not None
    assert (found.program, found.arguments) == (program, arguments)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["/opt/hub/bin/jupyterhub-singleuser"],
        ["/opt/hub/bin/jupyterhub", "token", "admin"],
        ["/opt/hub/bin/jupyterhub", "upgrade-db"],
        ["/opt/hub/bin/python", "-m", "jupyterhub.singleuser"],
        ["/usr/bin/python3", "/srv/backup.py", "/srv/jupyterhub"],
        ["/usr/bin/rsync", "/srv/jupyterhub", "/backup/jupyterhub"],
        ["/usr/bin/node", "/usr/bin/configurable-http-proxy", "--storage", "/srv/jupyterhub"],
        ["/bin/bash", "-c", 'echo "jupyterhub'],
        ["/bin/sh", "-c", "uv venv --quiet /opt/jupyterhub"],
        ["/opt/conda/bin/conda", "create", "--prefix", "/opt/jupyterhub"],
        ["/usr/local/bin/start-hub.sh"],
    ],
)
def test_what_is_no_hub(argv: list[str]) -> None:
    assert not runs_hub(argv)


def test_wrappers_change_the_execution_context() -> None:
    script = "cd /data; export B=2 && source /opt/hub/bin/activate && C=3 jupyterhub"
    found = hub_command(["/bin/bash", "-c", script])
    assert found is not None
    inside = found.within(HERE)
    assert inside.directory == "/data"
    assert inside.environment == {
        "A": "1",
        "B": "2",
        "C": "3",
        "PATH": "/opt/hub/bin:/usr/bin",
        "VIRTUAL_ENV": "/opt/hub",
    }


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/sudo -E -u nobody /opt/hub/bin/jupyterhub",
        "sudo --user=nobody -g nogroup jupyterhub",
        "runuser -u nobody -- jupyterhub",
        "runuser -l nobody -c jupyterhub",
        "su -s /bin/sh nobody -c 'cd / && exec jupyterhub'",
        "gosu nobody:nogroup jupyterhub",
        "setpriv --reuid nobody --regid nogroup --init-groups jupyterhub",
        "env A=2 sudo -u nobody jupyterhub",
    ],
)
def test_a_wrapper_changes_the_user(command: str) -> None:
    found = hub_command(shlex.split(command))
    assert found is not None
    inside = found.within(HERE)
    nobody = pwd.getpwnam("nobody")
    assert (inside.user, inside.uid, inside.gid) == ("nobody", nobody.pw_uid, nobody.pw_gid)
    assert (inside.home, inside.environment["HOME"]) == (nobody.pw_dir, nobody.pw_dir)


def test_a_wrapper_changes_the_directory() -> None:
    found = hub_command(["env", "-C", "/data", "jupyterhub"])
    assert found is not None
    assert found.within(HERE).directory == "/data"


@pytest.mark.parametrize(
    ("command", "activated"),
    [
        ("/opt/conda/bin/conda run -n hub jupyterhub", "/opt/conda/envs/hub"),
        ("conda run --no-capture-output --prefix=/srv/hub jupyterhub -f c.py", "/srv/hub"),
        ("conda run -n hub jupyterhub", None),
        ("uv run --project /srv/hub jupyterhub", "/srv/hub/.venv"),
        ("uv run jupyterhub", None),
    ],
)
def test_a_tool_activates_an_environment(command: str, activated: str | None) -> None:
    found = hub_command(shlex.split(command))
    assert found and (found.activated, found.complete) == (activated, False)


@pytest.mark.parametrize(
    ("script", "complete"),
    [
        ("exec jupyterhub -f c.py", True),
        ("set -e; cd /srv; export A=1 && . /opt/hub/bin/activate && umask 077; jupyterhub", True),
        ("set -a; . /etc/hub.env; exec jupyterhub", False),
        ("export DB=$(cat /etc/hub.db); exec jupyterhub", False),
        ("exec jupyterhub -f $CONFIG", False),
        ("sudo -u hub jupyterhub", False),
        ("wait-for-network && exec jupyterhub", False),
    ],
)
def test_whether_a_script_tells_all(script: str, complete: bool) -> None:
    for shell in (["sh", "-c"], ["bash", "-ec"]):
        found = hub_command([*shell, script])
        assert found and found.complete == complete
    login = hub_command(["bash", "-lc", script])
    assert login and not login.complete


def test_a_process_that_waits_for_the_hub_is_none() -> None:
    assert is_hub(["/opt/hub/bin/python", "/opt/hub/bin/jupyterhub"])
    assert not is_hub(["sudo", "-u", "hub", "/opt/hub/bin/jupyterhub"])
    assert not is_hub(["/bin/sh", "-c", "jupyterhub"])


def test_a_bare_command_changes_nothing() -> None:
    found = hub_command(["/opt/hub/bin/jupyterhub"])
    assert found is not None
    assert found.within(HERE) == HERE


@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "/a.py", "--debug"],
        ["--config", "/a.py", "--debug"],
        ["--config=/a.py", "--debug"],
        ["--JupyterHub.config_file=/a.py", "--debug"],
        ["--debug"],
    ],
)
def test_another_config_file_takes_the_place_of_the_named_one(arguments: list[str]) -> None:
    assert with_config_file(arguments, "/b.py") == ["--debug", "--config=/b.py"]
