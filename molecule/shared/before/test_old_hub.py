"""The old hub, on which nothing but attempts has been made: after each of them it is what it was."""

from __future__ import annotations

from conftest import Memory

from tests.testbed import Hub
from tests.testbed.judge import Before

# Only where the service manager starts it: the config loads everywhere else, so nobody can foresee this.
BROKEN_FOR_NEWER = """
import os
import jupyterhub

with open(f"/proc/{os.getppid()}/comm") as name:
    starter = name.read().strip()
if starter in ("systemd", "supervisord") and jupyterhub.version_info[0] >= 5:
    raise RuntimeError("This hub does not come up.")
"""


def test_a_dry_run_foretells_the_upgrade_and_changes_nothing(hub: Hub, target: str) -> None:
    before = hub.fingerprint()
    result = hub.playbook("upgrade.yml", {"jupyterhub_version": target}, check=True)
    assert result.changed > 0
    assert hub.fingerprint() == before
    assert not hub.exists(hub.layout.state_folder)


def test_a_plan_is_shown_and_changes_nothing(hub: Hub, target: str) -> None:
    before = hub.fingerprint()
    result = hub.playbook("plan.yml", {"jupyterhub_version": target, "jupyterhub_rehearse": False})
    assert f"1. Stage jupyterhub=={target} in {hub.layout.environments[0]}.staged-{target}." in result.stdout
    assert result.changed == 0
    assert hub.fingerprint() == before
    assert not hub.exists(hub.layout.state_folder)


def test_a_hub_that_does_not_come_up_is_restored(hub: Hub, target: str) -> None:
    config = hub.read(hub.layout.config_file)
    hub.write(hub.layout.config_file, config + BROKEN_FOR_NEWER)
    before = Before.of(hub)
    wanted = {"jupyterhub_version": target, "jupyterhub_rehearse": False, "jupyterhub_start_timeout": 60}
    try:
        result = hub.playbook("upgrade.yml", wanted, expect_rc=2)
        hub.wait_until_answers(hub.layout.version)
        assert before.differences(hub) == []
    finally:
        hub.write(hub.layout.config_file, config)
    assert result.report["outcome"] == "restored", result.report["failure"]
    assert "This hub does not come up." in result.stdout


def test_what_the_hub_holds_is_kept_for_comparison(hub: Hub, memory: Memory) -> None:
    cookies = hub.log_in("user-002")
    fingerprint = hub.fingerprint()
    servers = hub.server_processes()
    assert servers, "an attempt has ended users' servers"
    memory.keep(
        rows=hub.rows(),
        config=fingerprint["config"],
        secrets=fingerprint["secrets"],
        cookies=cookies,
        servers=servers,
    )
