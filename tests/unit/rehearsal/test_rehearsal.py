"""What a rehearsal compares, what it makes of what it found, and which programs it starts."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import (
    scratch_copies,
    scratch_folders,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.base import Keys
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.hub_tables import compare
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.facts import ProxyFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings import rehearsal as kinds
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.security import (
    NO_ALLOW_RULE,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import rehearsed_hub
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import Rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

USERS = Keys(("id", "name", "admin"), {(1, "ann", 1), (2, "bob", 0)})


def here(path: Path) -> ExecutionContext:
    return ExecutionContext(
        "me", os.getuid(), os.getgid(), (), "/", "/", {"PATH": f"{path}/old/bin:{path}/other"}
    )


@pytest.mark.parametrize(
    ("after", "given_up", "wrong"),
    [
        (USERS, set(), []),
        (Keys(("id", "name", "admin"), {*USERS.rows, (3, "new", 0)}), set(), []),
        (
            Keys(("id", "name", "admin"), {(1, "ann", 0), (2, "bob", 0)}),
            set(),
            ["1 rows of users are not what they were (name ann)"],
        ),
        (Keys(("id", "name"), {(1, "ann"), (2, "bob")}), set(), ["users has no admin any more"]),
        (Keys(("id", "name", "admin"), set()), {"users"}, []),
        (
            Keys(("id", "name", "admin"), set()),
            set(),
            ["2 rows of users are not what they were (name ann, bob)"],
        ),
    ],
)
def test_key_columns_are_compared_value_by_value(after: Keys, given_up: set[str], wrong: list[str]) -> None:
    assert compare({"users": USERS}, {"users": after}, given_up) == wrong


def test_a_table_that_is_gone_has_lost_its_columns() -> None:
    assert compare({"users": USERS}, {}, set()) == ["users has no id, name, admin any more"]
    assert compare({"users": Keys(USERS.columns, set())}, {}, set()) == []


def test_what_is_compared_is_never_a_secret_in_a_message() -> None:
    tokens = Keys(("id", "hashed"), {(1, "sha512:secret")})
    [said] = compare({"api_tokens": tokens}, {"api_tokens": Keys(("id", "hashed"), set())}, set())
    assert said == "1 rows of api_tokens are not what they were (id 1)"


def test_servers_are_removed_and_users_are_not(tmp_path: Path) -> None:
    path = tmp_path / "copy.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            "CREATE TABLE users (id INTEGER, name TEXT, last_activity TEXT, encrypted_auth_state BLOB);"
            "CREATE TABLE servers (id INTEGER); CREATE TABLE spawners (id INTEGER, user_id INTEGER);"
            "CREATE TABLE services (id INTEGER, name TEXT, _server_id INTEGER);"
            "INSERT INTO users VALUES (1, 'ann', '2026-01-01', 'x'), (2, 'bob', '2026-01-02', NULL),"
            " (3, 'cid', '2026-01-03', 'y');"
            "INSERT INTO servers VALUES (7), (8); INSERT INTO spawners VALUES (1, 1);"
            "INSERT INTO services VALUES (1, 'culler', 8);"
        )
    scratch_copies.forget_servers(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM servers").fetchone() == (0,)
        assert database.execute("SELECT * FROM services").fetchall() == [(1, "culler", None)]
    found = scratch_copies.keys(path)
    assert found["users"] == Keys(
        ("id", "name", "encrypted_auth_state"), {(1, "ann", "x"), (2, "bob", None), (3, "cid", "y")}
    )
    assert found["spawners"].rows == set()
    assert scratch_copies.with_auth_state(path, 5) == ["cid", "ann"]
    assert scratch_copies.with_auth_state(path, 1) == ["cid"]


def take(database: Path) -> None:
    with scratch_folders.scratch(scratch_copies.folder_of(database), here(database.parent)):
        pass


def test_the_folder_of_a_rehearsal_is_its_own_and_leaves_nothing(tmp_path: Path) -> None:
    database = tmp_path / "jupyterhub.sqlite"
    folder = scratch_copies.folder_of(database)
    folder.mkdir()
    (folder / "of a rehearsal that was killed").touch()
    with scratch_folders.scratch(scratch_copies.folder_of(database), here(tmp_path)) as scratch:
        assert scratch == folder
        assert list(scratch.iterdir()) == []
        with pytest.raises(HubError, match="Another rehearsal works in .* Wait until it has ended."):
            take(database)
        (scratch / "log").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HubError, match="cannot be made for the rehearsal: .* check the folder's owner"):
        take(tmp_path / "file" / "jupyterhub.sqlite")


def test_a_folder_elsewhere_is_not_emptied_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    database = tmp_path / "jupyterhub.sqlite"
    scratch_copies.folder_of(database).symlink_to(elsewhere)
    take(database)
    assert (elsewhere / "precious").exists()


def test_programs_of_a_staged_environment_run_in_its_own_python(tmp_path: Path) -> None:
    old, new, other = tmp_path / "old", tmp_path / "new", tmp_path / "other"
    for folder in (old / "bin", new / "bin", other):
        folder.mkdir(parents=True)
    for folder in (old, new):
        script = folder / "bin" / "configurable-http-proxy"
        script.write_text(f"#!{old}/bin/python\n")
        script.chmod(0o755)
    (other / "linked").symlink_to(old / "bin/configurable-http-proxy")
    staged = {str(old): str(new)}
    proxy = ProxyFacts(
        "jupyterhub.proxy.ConfigurableHTTPProxy",
        "jupyterhub",
        "6.1.1",
        True,
        "http://127.0.0.1:8001",
        [],
    )
    wanted = [f"{new}/bin/python", f"{new}/bin/configurable-http-proxy"]

    for command in ([], [str(old / "bin/configurable-http-proxy"), "--x"], ["linked"]):
        found = rehearsed_hub.proxy_of(
            replace(proxy, command=command), "python", here(tmp_path).relocated(staged), staged
        )
        assert found is not None
        assert found["command"][5:] == [*wanted, *command[1:]]
    assert (
        rehearsed_hub.proxy_of(
            replace(proxy, managed=False), "python", here(tmp_path).relocated(staged), staged
        )
        is None
    )
    assert (
        rehearsed_hub.proxy_of(
            replace(proxy, class_name="x.Traefik"), "python", here(tmp_path).relocated(staged), staged
        )
        is None
    )
    with pytest.raises(HubError, match="The proxy chp was not found on the service's PATH"):
        rehearsed_hub.proxy_of(
            replace(proxy, command=["chp"]), "python", here(tmp_path).relocated(staged), staged
        )
    assert rehearsed_hub.as_program("/usr/bin/env", staged) == ["/usr/bin/env"]


def test_the_outage_is_estimated_from_measurements() -> None:
    found = Rehearsal(timings={"copy": 0.1, "migrate": 0.2, "start": 2.5, "stop": 0.2, "spawn": 9})
    assert found.expected_outage_seconds is None
    found.version = "6.1.1"
    assert found.expected_outage_seconds == pytest.approx(3.05, abs=0.1)


def test_findings_are_reported_with_the_log_at_the_end() -> None:
    found = Rehearsal()
    found.findings = [
        kinds.SPAWN_NOT_REHEARSED.found("Nothing."),
        kinds.START.found("It exited.\nThe end of its log:\nx", "See to it."),
        NO_ALLOW_RULE.found("Nobody.", "Let somebody in."),
    ]
    result = found.result(["no-allow-rule"])
    [said] = result["blockers"]
    assert said == (f"rehearsal-start: It exited. {kinds.START.why} See to it.\nThe end of its log:\nx")
    assert result["findings"][1]["found"] == "Nobody. (It was accepted: no-allow-rule.)"
    assert [finding["severity"] for finding in result["findings"]] == ["blocker", "warning", "note"]
    known = found.result(["no-allow-rule"], known={"no-allow-rule", "rehearsal-start"})
    assert [finding["id"] for finding in known["findings"]] == ["rehearsal-start", "spawn-not-rehearsed"]
