"""The upgraded hub: it runs the new version from the same places, and has everything that the old one had."""

from __future__ import annotations

import json
import re
from typing import Any

from conftest import Memory
from testinfra.host import Host

from tests.testbed import Hub, lost_rows

USERS_WITH_TOKEN = ["admin", *(f"user-{number:03}" for number in range(50))]


def reports(hub: Hub) -> list[dict[str, Any]]:
    files = hub.exec(["find", hub.layout.state_folder, "-name", "report.json"]).stdout.split()
    return [json.loads(hub.read(file)) for file in files]


def test_the_new_version_runs_from_the_old_place(hub: Hub, target: str) -> None:
    answer = hub.api("/info")
    assert answer.body["version"] == target
    assert answer.body["sys_executable"].startswith(f"{hub.layout.environments[0]}/bin/python")


def test_users_servers_have_run_on(hub: Hub, memory: Memory) -> None:
    before = memory.recall("servers")
    assert hub.server_processes() == before
    assert {user: hub.single_user_version(user) for user in before} == dict.fromkeys(
        before, hub.layout.version
    )
    assert hub.exec(["find", "/run/systemd/system", "-name", "*hubops*"], check=False).stdout == ""


def test_it_can_be_verified_alone(hub: Hub, target: str) -> None:
    result = hub.playbook("verify.yml", {"jupyterhub_verify_user": "user-002"})
    assert f"JupyterHub {target} works" in result.stdout
    assert "reads 201 users from its database" in result.stdout
    assert result.changed == 0
    # As a proof, a server was started and stopped.
    assert re.search(r"User user-002 took [\d.]+ seconds to start", hub.log())
    assert hub.api("/users/user-002").body["server"] is None


def test_its_status_is_one_screen(hub: Hub, target: str) -> None:
    result = hub.playbook("status.yml")
    assert re.search(rf"-> {target}, upgraded, outage [\d.]+ s", result.stdout)
    assert ": the new hub serves." in result.stdout
    assert "Held down" not in result.stdout
    assert result.changed == 0


def test_it_can_be_backed_up_while_it_serves(hub: Hub, target: str) -> None:
    hub.playbook("backup.yml")
    found = hub.exec(["find", hub.layout.state_folder, "-name", "manifest.json"]).stdout.split()
    newest = json.loads(hub.read(sorted(found)[-1]))
    assert newest["from_version"] == target
    assert newest["database"]["rows"]["users"] == 201


def test_every_environment_has_the_new_version(hub: Hub, target: str) -> None:
    for environment in hub.fingerprint()["environments"].values():
        assert f"jupyterhub-{target}" in environment["packages"]


def test_no_row_is_lost(hub: Hub, memory: Memory) -> None:
    before = memory.recall("rows")
    assert len(before["users"]) == 201
    assert lost_rows(before, hub.rows()) == []


def test_config_and_secrets_are_untouched(hub: Hub, memory: Memory) -> None:
    after = hub.fingerprint()
    assert after["config"] == memory.recall("config")
    assert after["secrets"] == memory.recall("secrets")


def test_tokens_open_the_same_doors(hub: Hub) -> None:
    assert [
        hub.api("/user", token=f"token-of-{user}").body["name"] for user in USERS_WITH_TOKEN
    ] == USERS_WITH_TOKEN
    assert hub.api("/users", token="token-of-user-007").status == 403
    assert len(hub.api("/users?limit=200").body) + len(hub.api("/users?offset=200").body) == 201


def test_encrypted_auth_state_can_still_be_read(hub: Hub) -> None:
    kept = {"of": "user-003"} if hub.layout.keeps_auth_state else None
    assert hub.api("/users/user-003").body["auth_state"] == kept


def test_who_was_logged_in_still_is(hub: Hub, memory: Memory) -> None:
    assert hub.knows(memory.recall("cookies"))


def test_who_is_in_a_group_may_do_what_its_role_allows(hub: Hub) -> None:
    group = hub.api("/groups/group-1").body
    assert len(group["users"]) == 25
    assert group["roles"] == ["instructors"]
    assert hub.api("/users/user-007", token="token-of-user-000").body["groups"] == ["group-0"]
    assert hub.api("/users/user-001", token="token-of-user-000").status == 404


def test_a_user_starts_a_server_of_the_new_version(hub: Hub, target: str) -> None:
    hub.start_server("user-004")
    assert hub.single_user_version("user-004") == target


def test_users_can_share_their_servers(hub: Hub) -> None:
    with_whom = {"user": "user-001", "scopes": ["access:servers!server=user-004/"]}
    assert hub.api("/shares/user-004/", method="POST", data=with_whom).status == 200
    shared = hub.api("/users/user-001/shared", token="token-of-user-001").body
    assert [share["server"]["name"] for share in shared["items"]] == [""]


def test_the_report_is_kept_on_the_host(hub: Hub, target: str) -> None:
    ends = {(report["outcome"], report["from_version"], report["to_version"]) for report in reports(hub)}
    assert ("upgraded", hub.layout.version, target) in ends


def test_the_new_hub_was_backed_up(hub: Hub, target: str) -> None:
    (report,) = [each for each in reports(hub) if each["outcome"] == "upgraded"]
    before, first = (
        json.loads(hub.read(f"{report[key]}/manifest.json")) for key in ("backup", "first_backup")
    )
    assert (first["purpose"], first["from_version"]) == ("backup", target)
    assert first["database"]["rows"]["users"] == 201
    assert first["run"] == before["run"], "they do not count as one"


def test_nothing_is_left_of_the_upgrade_but_the_way_back(hub: Hub, host: Host) -> None:
    for environment in hub.layout.environments:
        assert not host.file(environment).is_symlink
    folders = host.run("ls -d %s.staged-*", hub.layout.environments[0]).stdout
    assert folders == ""
    assert host.file(f"{hub.layout.state_folder}/jupyterhub").mode == 0o700
    assert not hub.exists(f"{hub.layout.state_folder}/jupyterhub/hold")


def test_the_service_starts_again_by_itself(hub: Hub, target: str) -> None:
    hub.service("restart")
    hub.wait_until_answers(target)


def test_a_second_upgrade_finds_nothing_to_do(hub: Hub, target: str) -> None:
    before = hub.fingerprint()
    assert hub.playbook("upgrade.yml", {"jupyterhub_version": target}).changed == 0
    assert hub.fingerprint() == before
