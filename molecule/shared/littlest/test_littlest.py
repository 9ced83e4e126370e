"""What is different on The Littlest JupyterHub: its installer's limit, traefik, conda; and the way back."""

from __future__ import annotations

from conftest import Memory
from testinfra.host import Host

from tests.testbed import Hub, lost_rows

BEYOND = "6.1.1"


def test_a_version_that_its_installer_would_replace_is_refused(hub: Hub, target: str) -> None:
    before = hub.fingerprint()
    refused = hub.playbook("upgrade.yml", {"jupyterhub_version": BEYOND}, expect_rc=2)
    assert "/tljh/requirements-hub-env.txt requires jupyterhub>=4.0.2,<6." in refused.stdout
    assert hub.fingerprint() == before
    assert hub.version() == target


def test_traefik_has_run_on_and_starts_from_the_new_environment(hub: Hub, host: Host, target: str) -> None:
    process = host.check_output("systemctl show --property MainPID --value traefik")
    assert host.check_output("systemctl show --property NRestarts --value traefik") == "0"
    assert host.file(f"/proc/{process}/exe").linked_to.startswith("/opt/tljh/hub.before-")
    host.check_output("systemctl restart traefik")
    hub.wait_until_answers(target)
    process = host.check_output("systemctl show --property MainPID --value traefik")
    assert host.file(f"/proc/{process}/exe").linked_to == "/opt/tljh/hub/bin/traefik"


def test_the_environment_of_users_is_still_condas(host: Host) -> None:
    listed = host.check_output("conda list --prefix /opt/tljh/user --export")
    assert "python=3" in listed
    assert host.file("/opt/tljh/user/conda-meta").is_directory


def test_it_is_rolled_back(hub: Hub, memory: Memory) -> None:
    done = hub.playbook("rollback.yml", {"jupyterhub_accept_loss": True})
    assert done.report["outcome"] == "rolled back", done.report
    hub.wait_until_answers(hub.layout.version)
    found = hub.fingerprint()
    for environment in found["environments"].values():
        assert f"jupyterhub-{hub.layout.version}" in environment["packages"]
    assert found["config"] == memory.recall("config")
    assert found["secrets"] == memory.recall("secrets")
    assert lost_rows(memory.recall("rows"), hub.rows()) == []
    assert hub.knows(memory.recall("cookies"))
    hub.start_server("user-003")
    assert hub.single_user_version("user-003") == hub.layout.version
