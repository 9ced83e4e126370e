"""A hub that cannot be found, understood or looked after."""

from __future__ import annotations

from tests.testbed import Hub
from tests.testbed.judge import Before, entries

from .refusal import attempt, database_url, refusal, rewritten

SECOND_UNIT = "/etc/systemd/system/second-hub.service"


def test_no_such_unit(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_service="juypterhub")
    assert "juypterhub" in said
    assert "jupyterhub.service" in said


def test_several_hubs(hub: Hub) -> None:
    hub.exec(["cp", f"/etc/systemd/system/{hub.layout.systemd_unit}", SECOND_UNIT])
    hub.exec(["systemctl", "daemon-reload"])
    try:
        said = refusal(hub)
    finally:
        hub.exec(["rm", SECOND_UNIT])
        hub.exec(["systemctl", "daemon-reload"])
    assert "jupyterhub.service" in said
    assert "second-hub.service" in said
    assert "jupyterhub_service" in said


def test_no_hub(fresh_hub: Hub) -> None:
    fresh_hub.service("stop")
    fresh_hub.exec(["rm", f"/etc/systemd/system/{fresh_hub.layout.systemd_unit}"])
    fresh_hub.exec(["systemctl", "daemon-reload"])
    before = entries(fresh_hub)
    said = attempt(fresh_hub)
    assert "No JupyterHub was found on this host" in said
    assert "jupyterhub_service" in said
    assert entries(fresh_hub) == before


def test_config_that_does_not_load(hub: Hub) -> None:
    config = hub.read(hub.layout.config_file)
    with rewritten(hub, hub.layout.config_file, f"{config}\nc.JupyterHub.port = settings.port\n"):
        said = refusal(hub)
    assert hub.layout.config_file in said
    assert "NameError: name 'settings' is not defined" in said


def test_hub_that_is_stopped(hub: Hub) -> None:
    hub.service("stop")
    try:
        before = Before.of(hub)
        said = attempt(hub)
        assert before.differences(hub) == before.left_behind(hub) == []
    finally:
        hub.service("start")
        hub.wait_until_answers()
    assert "The hub's service jupyterhub.service is stopped, so it cannot be checked." in said
    assert "jupyterhub_accept: [hub-not-running]" in said


def test_neither_root_nor_become(hub: Hub) -> None:
    said = refusal(hub, ansible_user="user-000")
    assert "may not be read" in said
    assert "ansible_become: true" in said


def test_file_system_within_an_environment(hub: Hub) -> None:
    point = f"{hub.layout.environments[0]}/data"
    hub.exec(["mkdir", point])
    hub.exec(["mount", "-t", "tmpfs", "tmpfs", point])
    try:
        said = refusal(hub)
    finally:
        hub.exec(["umount", point])
        hub.exec(["rmdir", point])
    assert f"{point} of the environment {hub.layout.environments[0]} is a mount point." in said


def test_conda_environment_without_conda(hub: Hub) -> None:
    path = "/usr/local/share/conda"
    hub.exec(["mkdir", "-p", f"{path}/conda-meta"])
    hub.exec(["cp", "-a", "/opt/user-env/bin", "/opt/user-env/lib", path])
    record = '{"name": "jupyterhub-base", "version": "4.1.6"}'
    hub.exec(["sh", "-c", f"echo '{record}' > {path}/conda-meta/jupyterhub-base-4.1.6-0.json"])
    said = refusal(hub, jupyterhub_user_environments=[path])
    assert f"No conda, mamba or micromamba was found for {path}." in said


def test_database_of_another_kind(hub: Hub) -> None:
    with database_url(hub, "oracle://hub:secret-of-the-database@127.0.0.1/hub"):
        said = refusal(hub)
    assert "The database oracle://hub:***@127.0.0.1/hub is none of: mysql, postgresql, sqlite" in said
