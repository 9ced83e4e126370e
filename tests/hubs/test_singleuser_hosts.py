"""Single-user environments of other hosts: found, planned and upgraded together with their hub.

The other hosts are this machine under other names, each with an environment and a state folder of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import REPOSITORY
from tests.hubs import real_hub
from tests.testbed import prepared

LOCAL = "ansible.builtin.local"
OLD, NEW = "4.1.6", "5.4.6"
#: In the outage: nothing before it loads the config in the new environment without a rehearsal.
FAILS_ON_NEW = "import jupyterhub\nassert jupyterhub.version_info[0] < 5\n"
UNREACHABLE = {"ansible_connection": "ansible.builtin.ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
#: Of no environment that the hub's host has.
ELSEWHERE = "c.Spawner.cmd = ['/srv/elsewhere/bin/jupyterhub-singleuser']\n"


def playbook(
    name: str, folder: Path, hub: dict[str, Any], hosts: dict[str, dict[str, Any]], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook for one hub and other hosts with their variables."""
    inventory = folder / "inventory.json"
    usual = {
        "ansible_connection": LOCAL,
        "ansible_python_interpreter": sys.executable,
        "jupyterhub_audit": "never",
        "jupyterhub_version": NEW,
        "jupyterhub_watch_seconds": 0,
        "jupyterhub_backup_after_upgrade": False,
    }
    places = {name: {"jupyterhub_state_folder": str(folder / name), **each} for name, each in hosts.items()}
    groups = {
        "hubs": {"hosts": {"hub": {"jupyterhub_state_folder": str(folder / "state"), **hub}}},
        "jupyterhub_singleuser": {"hosts": places},
        "all": {"vars": usual},
    }
    inventory.write_text(json.dumps(groups))
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--inventory", str(inventory), str(REPOSITORY / "playbooks" / name), *arguments),
        ],
        cwd=folder,
        env={
            **os.environ,
            **prepared.environment(LOCAL),
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def node(folder: Path, name: str, *packages: str) -> tuple[str, dict[str, Any]]:
    """The path of an environment of the hub's version on another host, and that host's variables."""
    path = folder / name / "jupyter"
    path.parent.mkdir()
    real_hub.link_environment(OLD, path, *packages)
    return str(path), {"jupyterhub_user_environments": [str(path)]}


def version(path: str | Path) -> str:
    """The version of JupyterHub in an environment."""
    python = f"{path}/bin/python"
    done = subprocess.run(
        [python, "-m", "jupyterhub", "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def record(folder: Path, name: str) -> dict[str, Any]:
    """What a host has kept of its last exchange."""
    found = json.loads((folder / name / "singleuser/environments.json").read_text())
    return dict(found)


def test_environments_of_other_hosts_follow_the_hub(tmp_path: Path) -> None:
    """One host can be upgraded, one has an environment that cannot, and one cannot be reached."""
    path, able = node(tmp_path, "node1", "jupyter-server")
    bare, unable = node(tmp_path, "node2")
    hosts = {"node1": able, "node2": unable, "node3": UNREACHABLE}
    place = tmp_path / "hub-environment"
    real_hub.build(place, OLD, "supervisor")
    with real_hub.running_hub(OLD, tmp_path, config=ELSEWHERE, place=place) as deployment:
        hub = {
            "jupyterhub_service": deployment.service.name,
            "jupyterhub_rehearse": False,
            "jupyterhub_environment_failures": "report",
        }
        config = tmp_path / "jupyterhub_config.py"
        before = config.read_text()
        config.write_text(before + FAILS_ON_NEW)
        dry = playbook("upgrade.yml", tmp_path, hub, {"node1": able}, "--check")
        assert dry.returncode == 0, dry.stdout
        assert f"{path} on node1: " in dry.stdout and f"jupyterhub {OLD} -> {NEW}" in dry.stdout, dry.stdout
        assert {each.name for each in Path(path).parent.iterdir()} == {"jupyter"}

        failed = playbook("upgrade.yml", tmp_path, hub, {"node1": able})
        assert failed.returncode == 2 and "serves again as before" in failed.stdout, failed.stdout
        assert (version(place), version(path), record(tmp_path, "node1")["phase"]) == (OLD, OLD, "restored")
        assert {each.name for each in Path(path).parent.iterdir()} == {"jupyter", "singleuser"}

        config.write_text(before)
        upgraded = playbook("upgrade.yml", tmp_path, hub, hosts)
        assert upgraded.returncode == 0, upgraded.stdout
        assert "warning environment-left-out: node3 stays as it is. It cannot be reached" in upgraded.stdout
        why = f"Warning: {bare} on node2 stays as it is. The new environment for {bare} does not work"
        assert why in upgraded.stdout, upgraded.stdout
        assert "Other hosts: 1 upgraded, 2 left out (node2, node3)" in upgraded.stdout, upgraded.stdout
        assert (version(place), version(path), version(bare)) == (NEW, NEW, OLD), upgraded.stdout
        assert record(tmp_path, "node1")["phase"] == "kept"
        assert not (tmp_path / "node1/singleuser/guard").exists()

        seen = playbook("verify.yml", tmp_path, hub, hosts)
        assert seen.returncode == 2, seen.stdout
        for told in (
            f"Servers of other hosts do not go with JupyterHub {NEW}.",
            f"On node2: {bare}: It has JupyterHub {OLD}, the hub has {NEW}: another major.",
            "On node3: It cannot be reached: ",
            "run upgrade.yml with the hub's version",
        ):
            assert told in seen.stdout, seen.stdout
        assert "On node1" not in seen.stdout

        # Everything else is done before it fails for one that is away.
        back = playbook("rollback.yml", tmp_path, {**hub, "jupyterhub_accept_loss": True}, hosts)
        assert back.returncode == 2, back.stdout
        ended = (version(place), version(path), record(tmp_path, "node1")["phase"])
        assert ended == (OLD, OLD, "restored"), back.stdout
        for told in (
            "rolled back, outage",
            "Other hosts: 1 restored, 1 unchanged, 1 failed (node3)",
            f"JupyterHub {OLD} serves, but on other hosts its servers' environments were not restored.",
            "On node3: It cannot be reached: ",
            "-m hubops.jupyterhub.jupyterhub_singleuser -a 'state=restored recovery_point_id=",
        ):
            assert told in back.stdout, back.stdout
        assert "On node2" not in back.stdout

        # The interpreter of one of them is gone: no server starts there.
        seen = playbook("verify.yml", tmp_path, hub, {"node1": able})
        assert seen.returncode == 0 and f"It has the hub's version {OLD}." in seen.stdout, seen.stdout
        Path(path, "bin/python").unlink()
        Path(path, "bin/python").symlink_to("/nowhere/python3")
        seen = playbook("verify.yml", tmp_path, hub, {"node1": able})
    assert seen.returncode == 2, seen.stdout
    assert (
        f"On node1: {path}: No server starts from it: its interpreter /nowhere/python3 is gone."
        in seen.stdout
    )
