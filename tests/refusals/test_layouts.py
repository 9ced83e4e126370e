"""Hubs that are laid out otherwise than the documentation has them, and are upgraded all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.testbed import Hub, lost_rows, staged
from tests.testbed.judge import Before
from tests.testbed.releases import APP, DOES_NOT_START, VERSION, release
from tests.testbed.staged import TARGET

from .refusal import reason

#: What root's shell reads and asks for, and the user that it then gives the hub; it writes the log itself.
COMMAND = (
    "/bin/bash -c 'set -a; . /etc/jupyterhub/site.env; export HUB_DB=$$(cat /etc/jupyterhub/site.db); "
    "exec /sbin/runuser -u keeper -- /opt/jupyterhub/bin/jupyterhub -f /etc/jupyterhub/jupyterhub_config.py "
    ">> /var/log/jupyterhub.log 2>&1'"
)
CONFIG = """
import os
from jupyterhub.spawner import SimpleLocalProcessSpawner

class SiteSpawner(SimpleLocalProcessSpawner):
    pass

c.JupyterHub.spawner_class = SiteSpawner
c.SiteSpawner.cmd = ["/opt/user-env/bin/jupyterhub-singleuser"]
c.JupyterHub.db_url = os.environ["HUB_DB"]
c.JupyterHub.cookie_secret = bytes.fromhex(os.environ["SITE_SECRET"])
c.JupyterHub.bind_url = "http://:8000"
"""


#: Users of the hub with an environment of their own: one that can be upgraded, and two that cannot.
PEOPLE = ("user-000", "user-001", "user-002")
#: What makes an environment that can be installed into, and not be used.
RULE = """
import importlib.abc, sys

class Rule(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "jupyterhub.singleuser":
            raise ImportError("the site's own rule")

sys.meta_path.insert(0, Rule())
"""


SPY = "import os; open(f'/srv/seen/{os.geteuid()}', 'a').close()\n"


def test_the_upgrade_goes_on_without_environments_that_cannot_be_upgraded(fresh_hub: Hub) -> None:
    hub = fresh_hub
    for name in (*PEOPLE, "nobody"):
        hub.exec(["mkdir", "--parents", f"/srv/people/{name}"])
        hub.exec(["cp", "--archive", "/opt/user-env", f"/srv/people/{name}/venv"])
    hub.exec(["ln", "--symbolic", "--force", "/usr/bin/gone", "/srv/people/user-001/venv/bin/python"])
    hub.exec(["rm", "/srv/people/user-001/venv/bin/python3"])
    [packages] = hub.exec(
        ["sh", "-c", "echo /srv/people/user-002/venv/lib/python3*/site-packages"]
    ).stdout.split()
    hub.write(f"{packages}/rule.py", RULE)
    hub.write(f"{packages}/rule.pth", "import rule\n")
    for name in PEOPLE:
        # What is in a user's environment runs as that user, however the folder around it is owned.
        hub.write(packages.replace(PEOPLE[2], name) + "/spy.pth", SPY)
        hub.exec(["chown", "--recursive", f"{name}:{name}", f"/srv/people/{name}/venv"])
    hub.exec(["chown", "user-000:", "/srv/people/user-000"])
    hub.exec(["install", "--directory", "--mode", "1777", "/srv/seen"])

    staged.lay_out(hub)
    variables = {
        "jupyterhub_version": TARGET,
        "jupyterhub_user_environments": ["/srv/people/{username}/venv"],
    }
    finished = hub.playbook("upgrade.yml", {**variables, "jupyterhub_environment_failures": "report"})

    assert finished.report["outcome"] == "upgraded", finished.report
    warnings = " ".join(finished.report["warnings"])
    assert (
        "/srv/people/user-001/venv stays as it is. /srv/people/user-001/venv/bin/python is not there"
        in warnings
    )
    assert (
        "/srv/people/user-002/venv stays as it is. The new environment for /srv/people/user-002/venv does"
        in warnings
    )
    versions = {
        name: hub.exec(["sh", "-c", f"ls -d /srv/people/{name}/venv/lib/python3*/site-packages/jupyterhub-*"])
        .stdout.split("jupyterhub-")[-1]
        .partition(".dist-info")[0]
        for name in (*PEOPLE, "nobody")
    }
    assert versions == {"user-000": TARGET, "user-001": "4.1.6", "user-002": "4.1.6", "nobody": "4.1.6"}
    assert hub.version() == TARGET
    assert "staged" not in hub.exec(["ls", "/srv/people/user-002", "/srv/people/user-001"]).stdout
    seen = hub.exec(["stat", "--format", "%n %U", "/srv/people/user-000/venv", "/srv/people/user-000"])
    assert seen.stdout.split() == [
        "/srv/people/user-000/venv",
        "user-000",
        "/srv/people/user-000",
        "user-000",
    ]
    ran_as = {int(number) for number in hub.exec(["ls", "/srv/seen"]).stdout.split()}
    numbers = {int(hub.exec(["id", "--user", name]).stdout) for name in PEOPLE}
    assert ran_as and ran_as <= numbers, "root or somebody else has run what users have put there"


def test_servers_that_systemd_has_started_run_on(fresh_hub: Hub) -> None:
    hub, user = fresh_hub, PEOPLE[0]
    python = "/opt/jupyterhub/bin/python"
    hub.exec([python, "-m", "pip", "install", "--quiet", "jupyterhub-systemdspawner"])
    hub.exec(["tee", "-a", hub.layout.config_file], stdin='\nc.JupyterHub.spawner_class = "systemd"\n')
    hub.service("restart")
    hub.wait_until_answers("4.1.6")
    hub.start_server(user)
    unit = ["systemctl", "show", "--property=ActiveState,MainPID", f"jupyter-{user}-singleuser"]
    runs = hub.exec(unit).stdout
    assert "ActiveState=active" in runs

    finished = hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET})

    assert finished.report["outcome"] == "upgraded", finished.report
    assert not [each for each in finished.report["warnings"] if user in each]
    assert hub.exec(unit).stdout == runs
    assert (hub.version(), hub.single_user_version(user)) == (TARGET, "4.1.6")
    hub.stop_server(user)
    assert "MainPID=0" in hub.exec(unit).stdout
    hub.start_server(user)
    assert hub.single_user_version(user) == TARGET


def test_a_shell_that_reads_files_and_changes_the_user(fresh_hub: Hub) -> None:
    hub = fresh_hub
    unit = f"/etc/systemd/system/{hub.layout.systemd_unit}"
    command = "ExecStart=/opt/jupyterhub/bin/jupyterhub -f /etc/jupyterhub/jupyterhub_config.py"
    packages = hub.exec(["sh", "-c", "echo /opt/jupyterhub/lib/python3*/site-packages"]).stdout.strip()
    wrapped = f"ExecStart={COMMAND}\nEnvironment=PYTHONPATH={packages}"
    hub.service("stop")
    hub.exec(["useradd", "--system", "keeper"])
    hub.exec(["chown", "-R", "keeper", "/srv/jupyterhub"])
    hub.write("/etc/jupyterhub/site.env", f"SITE_SECRET={'ab' * 32}\n", mode="0600")
    hub.write("/etc/jupyterhub/site.db", "sqlite:////srv/jupyterhub/jupyterhub.sqlite\n", mode="0600")
    hub.exec(["tee", "-a", hub.layout.config_file], stdin=CONFIG)
    hub.exec(["tee", unit], stdin=hub.read(unit).replace(command, wrapped))
    hub.exec(["systemctl", "daemon-reload"])
    hub.service("start")
    hub.wait_until_answers("4.1.6")
    before = hub.rows()

    staged.lay_out(hub)
    finished = hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET})

    assert finished.report["outcome"] == "upgraded", finished.report
    assert lost_rows(before, hub.rows()) == []
    assert hub.version() == TARGET
    processes = hub.exec(["ps", "-eo", "user:20,args"]).stdout.splitlines()
    [process] = [
        each for each in processes if "/opt/jupyterhub/bin/jupyterhub -f" in each and "python" in each
    ]
    assert process.split()[0] == "keeper"
    # The end of the log is what verification has read, and tells of errors.
    assert "JupyterHub is now running" in hub.read("/var/log/jupyterhub.log")


#: As JupyterHub the hard way has it: config and unit in the environment, and the hub's state in /.
HARD_WAY = """
[Unit]
Description=JupyterHub
After=syslog.target network.target

[Service]
User=root
Environment="PATH=/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/opt/jupyterhub/bin"
EnvironmentFile=/etc/jupyterhub/environment
ExecStart=/opt/jupyterhub/bin/jupyterhub -f /opt/jupyterhub/etc/jupyterhub/jupyterhub_config.py

[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def unstaged_hub() -> Iterator[Hub]:
    """A hub for one test alone, with nothing staged: of this layout it would be out of date."""
    with Hub.start(staged.KIND) as started:
        yield started


@pytest.mark.alone
def test_the_hard_way(unstaged_hub: Hub) -> None:
    hub, inside = unstaged_hub, "/opt/jupyterhub/etc"
    hub.service("stop")
    hub.exec(["systemctl", "disable", "--quiet", hub.layout.systemd_unit])
    hub.exec(["mkdir", "--parents", f"{inside}/systemd", f"{inside}/jupyterhub"])
    for name in ("jupyterhub_config.py", "roles.py"):
        hub.exec(["mv", f"/etc/jupyterhub/{name}", f"{inside}/jupyterhub"])
    hub.exec(
        [
            "sed",
            "--in-place",
            f"s|/etc/jupyterhub|{inside}/jupyterhub|",
            f"{inside}/jupyterhub/jupyterhub_config.py",
        ]
    )
    hub.exec(["sh", "-c", "mv /srv/jupyterhub/jupyterhub.sqlite /srv/jupyterhub/jupyterhub_cookie_secret /"])
    hub.write(f"{inside}/systemd/{hub.layout.systemd_unit}", HARD_WAY)
    hub.exec(["rm", f"/etc/systemd/system/{hub.layout.systemd_unit}"])
    hub.exec(["systemctl", "enable", "--quiet", f"{inside}/systemd/{hub.layout.systemd_unit}"])
    hub.layout = replace(
        hub.layout,
        config_folder=f"{inside}/jupyterhub",
        database="/jupyterhub.sqlite",
        secrets=("/jupyterhub_cookie_secret", "/etc/jupyterhub/environment"),
    )
    hub.service("start")
    hub.wait_until_answers("4.1.6")

    before = Before.of(hub)
    broken = release(hub, VERSION, append={APP: DOES_NOT_START})
    failed = hub.playbook("upgrade.yml", {**broken, "jupyterhub_rehearse": False}, expect_rc=2)
    assert "The hub exited at its start." in reason(failed.stdout)
    assert failed.report["outcome"] == "restored"
    assert before.differences(hub) == []
    assert before.left_behind(hub, apart_from=hub.layout.state_folder) == []

    rows = hub.rows()
    finished = hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET})
    assert finished.report["outcome"] == "upgraded", finished.report
    assert lost_rows(rows, hub.rows()) == []
    assert hub.version() == TARGET
    unit = f"{inside}/systemd/{hub.layout.systemd_unit}"
    assert hub.exec(["readlink", f"/etc/systemd/system/{hub.layout.systemd_unit}"]).stdout.strip() == unit
    assert hub.read(unit) == HARD_WAY
