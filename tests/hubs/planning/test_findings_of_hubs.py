"""Real hubs that have a fault, and healthy ones that have none: what is found, and what is not."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import health, schema
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import proxy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import host
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.target import installed_options
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases import catalogue
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import parse_release
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

from tests.healthy_hub import database_file
from tests.hubs.real_hub import environment, make_database, running_hub, stopped_hub, supervised

VERSIONS = ("1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6")


def target(version: str) -> Target:
    """A release as its own environment here describes it, which saves the way to an index."""
    path = environment(version)
    series = catalogue.series_of(parse_release(version))
    requires = series.requires_python if series else ""
    head, revisions = schema.head_revision(path), list(schema.revisions(path))
    return Target(version, requires, head, revisions, installed_options(str(path)))


def findings_of(deployment: Deployment, version: str = "6.1.1") -> dict[str, Finding]:
    """Findings of a deployment's upgrade, by id; the first of several with one id."""
    plan = make_plan(deployment, target(version), host.look(deployment, None, ""), Policy())
    return {finding.id: finding for finding in reversed(plan.findings)}


def found(version: str, folder: Path, config: str = "", to: str = "6.1.1") -> dict[str, Finding]:
    """The findings of a hub that does not run, with its config and whatever is in its folder."""
    with supervised(version, folder, config) as name:
        return findings_of(find_deployment(name), to)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_healthy_hub_has_no_blocker(version: str, tmp_path: Path) -> None:
    with running_hub(version, tmp_path) as deployment:
        found = findings_of(deployment)
    assert [each for each in found.values() if each.severity == "blocker"] == []


PAM = "c.JupyterHub.authenticator_class = 'jupyterhub.auth.PAMAuthenticator'\n"


def test_no_user_would_be_allowed(tmp_path: Path) -> None:
    finding = found("4.1.6", tmp_path, PAM)["no-allow-rule"]
    assert finding.severity == "blocker" and finding.accept
    assert finding.found == (
        "No option allows any user, "
        f"with jupyterhub.auth.PAMAuthenticator in {tmp_path}/jupyterhub_config.py."
    )
    assert "c.Authenticator.allow_all = True" in finding.fix


@pytest.mark.parametrize(
    ("version", "config", "to"),
    [
        ("4.1.6", f"{PAM}c.PAMAuthenticator.allowed_users = {{'ada'}}\n", "6.1.1"),
        ("4.1.6", f"{PAM}c.Authenticator.allow_all = True\n", "6.1.1"),
        ("3.1.1", PAM, "4.1.6"),
        ("5.4.6", PAM, "6.1.1"),
    ],
)
def test_a_user_is_allowed_or_nothing_changes(version: str, config: str, to: str, tmp_path: Path) -> None:
    assert "no-allow-rule" not in found(version, tmp_path, config, to)


def test_secrets_that_the_new_hub_would_refuse_or_miss(tmp_path: Path) -> None:
    secret = tmp_path / "jupyterhub_cookie_secret"
    secret.write_text("ab" * 32)
    secret.chmod(0o644)
    findings = found("4.1.6", tmp_path, "c.Authenticator.enable_auth_state = True\n")
    assert findings["cookie-secret-mode"].found == f"The cookie secret {secret} has mode 0644."
    assert findings["crypt-key-missing"].severity == "blocker"
    assert "neither JUPYTERHUB_CRYPT_KEY nor CryptKeeper.keys" in findings["crypt-key-missing"].found
    assert "cookie-secret-missing" not in findings


def test_secrets_that_are_in_order(tmp_path: Path) -> None:
    secret = tmp_path / "jupyterhub_cookie_secret"
    secret.write_text("ab" * 32)
    secret.chmod(0o600)
    findings = found(
        "4.1.6",
        tmp_path,
        f"c.Authenticator.enable_auth_state = True\nc.CryptKeeper.keys = ['{'cd' * 32}']\n",
    )
    assert not {"cookie-secret-mode", "cookie-secret-missing", "crypt-key-missing"} & set(findings)
    assert "cd" * 32 not in str(findings)


def test_a_cookie_secret_that_is_not_there(tmp_path: Path) -> None:
    finding = found("4.1.6", tmp_path)["cookie-secret-missing"]
    assert finding.severity == "warning"
    assert finding.found == f"The cookie secret {tmp_path}/jupyterhub_cookie_secret does not exist."


def test_a_proxy_that_the_service_does_not_find(tmp_path: Path) -> None:
    finding = found("4.1.6", tmp_path, "c.ConfigurableHTTPProxy.command = ['no-such-proxy']\n")[
        "proxy-not-found"
    ]
    assert finding.found.startswith("no-such-proxy is not on the PATH of hub-")


def test_a_proxy_that_the_hub_does_not_start(tmp_path: Path) -> None:
    config = (
        "c.ConfigurableHTTPProxy.command = ['no-such-proxy']\nc.ConfigurableHTTPProxy.should_start = False\n"
    )
    assert "proxy-not-found" not in found("4.1.6", tmp_path, config)


def test_the_pure_python_proxy_and_tls(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    config = "c.JupyterHub.ssl_key = 'key'\nc.JupyterHub.ssl_cert = 'key'\n"
    finding = found("4.1.6", tmp_path, config)["proxy-without-tls"]
    assert finding.found == (
        f"{environment('4.1.6')}/bin/configurable-http-proxy is a Python program, and the config has TLS."
    )


def named_servers(folder: Path) -> None:
    """A user who has two servers with names of old."""
    changed(
        folder / "jupyterhub.sqlite",
        "INSERT INTO spawners (id, user_id, name) VALUES (1, 1, 'GPU'), (2, 1, 'lab')",
    )


def test_the_user_whose_server_is_to_be_started_is_looked_up(tmp_path: Path) -> None:
    with stopped_hub("4.1.6", tmp_path) as deployment:
        assert host.look(deployment, None, "", "user1").knows_user
        assert not host.look(deployment, None, "", "user").knows_user
        database_file(deployment).write_bytes(b"not a database" * 500)
        assert host.look(deployment, None, "", "user").knows_user


def test_a_state_folder_on_another_file_system_needs_space_for_one_more_copy(tmp_path: Path) -> None:
    with stopped_hub("4.1.6", tmp_path) as deployment:
        beside = host.look(deployment, str(tmp_path / "state"), "")
        apart = host.look(deployment, "/dev/shm/none", "")
    assert (beside.apart, apart.apart) == (False, True)


def test_what_changes_with_6(tmp_path: Path) -> None:
    config = "c.JupyterHub.statsd_host = 'x'\nc.JupyterHub.oauth_require_pkce = True\nc.JupyterHub.prot = 1\n"
    with supervised("5.4.6", tmp_path, config) as name:
        named_servers(tmp_path)
        findings = findings_of(find_deployment(name))
    file = f"{tmp_path}/jupyterhub_config.py"
    assert findings["config-option-gone"].found == (
        f"{file} sets JupyterHub.statsd_host, which JupyterHub 6.1.1 does not know."
    )
    assert (
        findings["config-option-unknown"].found
        == f"{file} sets JupyterHub.prot, which neither JupyterHub nor a plugin knows."
    )
    assert findings["pkce-required"].found == "c.JupyterHub.oauth_require_pkce is True."
    assert findings["named-servers"].found == "1 names of servers: GPU."
    assert [each for each in findings if each.startswith("changes-")] == ["changes-6"]


SERVICES = """
c.JupyterHub.services = [
    {"name": "idle-culler", "command": ["python3", "-m", "jupyterhub_idle_culler"]},
    {"name": "announcement", "url": "http://127.0.0.1:1", "api_token": "the-token"},
    {"name": "boss", "api_token": "another-token", "admin": True},
]
c.JupyterHub.template_paths = ["templates"]
c.Spawner.cmd = ["{folder}/wrapper"]
"""
LOGIN = "<form action='/hub/login' method='post'><input name='username'></form>"


def write_site(folder: Path) -> str:
    """A hub of 1.x as some have it; returns its config."""
    (folder / "wrapper").write_text("#!/bin/sh\nexec jupyterhub-singleuser --port=$PORT\n")
    (folder / "wrapper").chmod(0o755)
    (folder / "templates").mkdir()
    (folder / "templates/login.html").write_text(LOGIN)
    (folder / "templates/page.html").write_text("<a class='btn btn-default'>x</a>")
    return SERVICES.replace("{folder}", str(folder))


def test_what_changes_with_2_and_4(tmp_path: Path) -> None:
    findings = found("1.5.1", tmp_path, write_site(tmp_path), "4.1.6")
    assert {id: finding.found for id, finding in findings.items() if finding.severity != "note"} == {
        "hub-not-running": findings["hub-not-running"].found,
        "advisories-open": findings["advisories-open"].found,
        "cookie-secret-missing": findings["cookie-secret-missing"].found,
        "login-without-xsrf": f"Forms without `_xsrf`: {tmp_path}/templates/login.html.",
        "tokens-lost": f"{tmp_path}/jupyterhub.sqlite has 5 API tokens.",
        "service-without-scopes": "Services without any scope: idle-culler, announcement.",
        "culler-without-scopes": (
            "The service idle-culler lacks list:users, read:users:activity, read:servers, delete:servers."
        ),
        "service-access": "Services without a role for access: announcement.",
        "no-jupyterlab": f"{environment('1.5.1')} has no jupyterlab.",
        "single-user-arguments": f"{tmp_path}/wrapper mentions --ip or --port.",
    }
    assert "the-token" not in str(findings)


def test_a_hub_that_is_past_2_and_4_has_nothing_of_it(tmp_path: Path) -> None:
    findings = found("4.1.6", tmp_path, write_site(tmp_path), "5.4.6")
    assert {id for id, finding in findings.items() if finding.severity != "note"} == {
        "hub-not-running",
        "advisories-open",
        "cookie-secret-missing",
        "template-bootstrap-3",
    }


def test_a_service_that_the_new_hub_refuses(tmp_path: Path) -> None:
    config = "c.JupyterHub.services = [{'name': 'site', 'api_token': 'x' * 8, 'oauth_no_confirm': True}]\n"
    finding = found("4.1.6", tmp_path, config)["oauth-redirect-missing"]
    assert finding.severity == "blocker"
    assert finding.found == "The service site uses OAuth, and has neither url nor oauth_redirect_uri."


@pytest.fixture
def here(tmp_path: Path) -> ExecutionContext:
    me = pwd.getpwuid(os.geteuid())
    return ExecutionContext(
        me.pw_name, me.pw_uid, me.pw_gid, (me.pw_gid,), me.pw_dir, str(tmp_path), {"PATH": f"{tmp_path}/bin"}
    )


def npm_package(folder: Path, version: str, engine: str, node: str) -> None:
    """A proxy laid out as npm does it, and a Node that prints its version."""
    package = folder / "lib/node_modules/configurable-http-proxy"
    (package / "bin").mkdir(parents=True)
    (folder / "bin").mkdir()
    (package / "package.json").write_text(f'{{"version": "{version}", "engines": {{"node": "{engine}"}}}}')
    script = package / "bin/configurable-http-proxy"
    script.write_text("#!/usr/bin/env node\n")
    script.chmod(0o755)
    (folder / "bin/configurable-http-proxy").symlink_to(script)
    (folder / "bin/node").write_text(f"#!/bin/sh\n{node}\n")
    (folder / "bin/node").chmod(0o755)


@pytest.mark.parametrize(
    ("node", "version"), [("echo v18.20.4", "18.20.4"), ("exit 1", None), ("echo hello", None)]
)
def test_a_proxy_for_node_is_read_and_its_node_is_run(
    node: str, version: str | None, here: ExecutionContext, tmp_path: Path
) -> None:
    npm_package(tmp_path, "5.1.0", ">= 18", node)
    assert proxy.find_program_of(True, ["configurable-http-proxy"], here) == proxy.ProxyProgram(
        path=f"{tmp_path}/bin/configurable-http-proxy",
        kind="node",
        version="5.1.0",
        node=f"{tmp_path}/bin/node",
        node_version=version,
        engine=">=18",
    )


def test_a_proxy_that_is_called_by_its_node(here: ExecutionContext, tmp_path: Path) -> None:
    npm_package(tmp_path, "5.3.0", ">=20", "echo v22.1.0")
    script = f"{tmp_path}/bin/configurable-http-proxy"
    called = proxy.find_program_of(True, [f"{tmp_path}/bin/node", script], here)
    assert called and (called.path, called.node_version) == (script, "22.1.0")


def test_a_proxy_that_is_named_from_the_hubs_folder(here: ExecutionContext, tmp_path: Path) -> None:
    npm_package(tmp_path, "5.1.0", ">=18", "echo v18.20.4")
    relative = proxy.find_program_of(True, ["./bin/configurable-http-proxy"], here)
    assert relative and relative.version == "5.1.0"
    missing = proxy.find_program_of(True, ["./bin/no-proxy"], here)
    assert missing and missing.path is None


def test_a_proxy_that_is_neither(here: ExecutionContext, tmp_path: Path) -> None:
    (tmp_path / "proxy").write_bytes(b"\x7fELF")
    other = proxy.find_program_of(True, [f"{tmp_path}/proxy"], here)
    assert other and (other.kind, other.version) == ("other", None)


@pytest.fixture
def database(tmp_path: Path, made: Path) -> Path:
    return Path(shutil.copyfile(made, tmp_path / "jupyterhub.sqlite"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "jupyterhub.sqlite"
    make_database("4.1.6", path)
    return path


def examined(path: Path, revision: str = "0eee8c825d24") -> dict[str, Any]:
    return health.examine(path, revision, timeout=1)


def changed(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("version", [*VERSIONS, "6.1.1"])
def test_a_database_as_a_hub_makes_it_is_healthy(version: str, tmp_path: Path) -> None:
    path = tmp_path / "jupyterhub.sqlite"
    make_database(version, path)
    assert examined(path, schema.head_revision(environment(version))) == {
        "damage": None,
        "broken_references": {},
        "revisions": 1,
        "ahead": [],
        "servers": 0,
        "server_names": [],
        "encrypted": 0,
    }


def test_a_migration_that_was_cut_off_shows(database: Path) -> None:
    changed(
        database, "ALTER TABLE roles ADD COLUMN managed_by_auth", "ALTER TABLE users ADD COLUMN user_info"
    )
    assert examined(database)["ahead"] == ["roles.managed_by_auth", "users.user_info"]
    assert examined(database, "4621fec11365")["ahead"] == ["users.user_info"]
    assert examined(database, "abcdefabcdef")["ahead"] == []


def test_a_real_migration_leaves_nothing_ahead(database: Path, here: ExecutionContext) -> None:
    bin_folder = environment("6.1.1") / "bin"
    here.environment["PATH"] = f"{bin_folder}:/usr/bin:/bin"
    config = database.with_name("jupyterhub_config.py")
    config.write_text(f"c.JupyterHub.db_url = 'sqlite:///{database}'\n")
    assert here.run([f"{bin_folder}/jupyterhub", "upgrade-db", "-f", str(config)], timeout=60).returncode == 0
    assert examined(database, "f460b0348206")["ahead"] == []
    assert "users.user_info" in examined(database)["ahead"]


def test_servers_references_and_stamps_are_counted(database: Path) -> None:
    changed(
        database,
        "INSERT INTO servers (id, proto, ip, port) VALUES (1, 'http', '127.0.0.1', 1)",
        "INSERT INTO spawners (id, user_id, server_id, name) VALUES (1, 1, 1, 'Über'), (2, 2, NULL, 'lab')",
        "INSERT INTO spawners (id, user_id, server_id, name) VALUES (3, 77, NULL, '')",
        "UPDATE users SET encrypted_auth_state = x'00' WHERE id = 1",
        "INSERT INTO alembic_version VALUES ('4621fec11365')",
    )
    assert examined(database) == {
        "damage": None,
        "broken_references": {"spawners": 1},
        "revisions": 2,
        "ahead": [],
        "servers": 1,
        "server_names": ["lab", "Über"],
        "encrypted": 1,
    }


def test_damage_is_found(database: Path) -> None:
    changed(
        database, "PRAGMA writable_schema = ON", "DELETE FROM sqlite_master WHERE tbl_name = 'oauth_codes'"
    )
    assert "never used" in examined(database)["damage"]


def test_a_check_that_takes_too_long_is_given_up(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(health, "_STEPS_BETWEEN_LOOKS", 1)
    assert (examined(database)["damage"], examined(database)["broken_references"]) == (None, {})


@pytest.fixture
def stranger() -> Iterator[ExecutionContext]:
    """Another user where the test runs as root, else the same user; in a folder that every user may enter."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield ExecutionContext(
            user.pw_name, user.pw_uid, user.pw_gid, (), "/", folder, {"PATH": "/usr/bin:/bin"}
        )


@pytest.mark.parametrize(("mode", "folder_mode"), [(0o666, 0o777), (0o444, 0o777), (0o666, 0o555)])
def test_whether_the_hubs_user_may_write(mode: int, folder_mode: int, stranger: ExecutionContext) -> None:
    file = Path(stranger.directory, "jupyterhub.sqlite")
    file.touch()
    file.chmod(mode)
    file.parent.chmod(folder_mode)
    assert health.place(file, stranger)["writable"] == {
        str(file): mode == 0o666,
        str(file.parent): folder_mode == 0o777,
    }
    file.parent.chmod(0o755)
