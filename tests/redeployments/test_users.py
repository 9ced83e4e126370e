"""Users and groups into a real Keycloak."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import record
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.record import Done, Redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests.hubs.playbook import run_playbook
from tests.redeployments import keycloak
from tests.redeployments.qhub_site import DOMAIN, NEW, OLD, installed

CONFIG = f"""\
project_name: newproj
provider: aws
domain: {DOMAIN}
qhub_version: {NEW}
security:
  authentication:
    type: password
"""
IMPORT = {
    "users": [
        {"username": "ada", "enabled": True, "groups": ["admin", "users"]},
        {"username": "grace", "enabled": True, "groups": ["users"]},
        {"username": "linus", "enabled": True, "groups": ["scientists"]},
    ],
    "groups": [{"name": "scientists", "path": "/scientists"}, {"name": "empty", "path": "/empty"}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[keycloak.Server]:
    with keycloak.running(tmp_path_factory.mktemp("keycloak")) as found:
        yield found


class RestoredSite:
    """A site whose redeployment has come to the users."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tests = folder / "site", folder
        self.folder.mkdir()
        (self.folder / "qhub-config.yaml").write_text(CONFIG)
        path = self.folder / "qhub-users-import.json"
        path.write_text(json.dumps(IMPORT))
        self.kept = folder / "state/qhub" / DOMAIN
        self.kept.mkdir(parents=True)
        for version in (OLD, NEW):
            (self.kept / f"qhub-{version}").symlink_to(installed() / f"qhub-{version}")
        evidence = {
            "upgrade_config": {"import": str(path), "import_sha256": files.sha256(path)},
            "rename_project": {"project": "newproj"},
            "rename_old_site": {"old_domain": "qhub-old.example.org"},
        }
        steps = (
            "back_up",
            "install",
            "rename_old_site",
            "upgrade_config",
            "rename_project",
            "deploy",
            "commit",
            "restore",
        )
        begun = Redeployment(1, str(self.folder), DOMAIN, "aws", OLD, NEW, "oldproj")
        for name in steps:
            begun = begun.with_step(Done(name, "", "root", 0.0, evidence.get(name, {})))
        record.write(self.kept, begun)

    def run(self, url: str, password: str = keycloak.PASSWORD) -> subprocess.CompletedProcess[str]:
        done = run_playbook(
            "qhub_users.yml",
            self.tests,
            {
                "qhub_folder": str(self.folder),
                "qhub_state_folder": str(self.tests / "state"),
                "qhub_keycloak_url": url,
                "qhub_keycloak_password": password,
            },
            "-vvv",
        )
        assert password not in done.stdout + done.stderr
        return done

    def evidence(self) -> dict[str, str]:
        begun = record.read(self.kept)
        assert begun
        return begun.evidence("import_users")


def test_users_are_imported_once_and_counted(tmp_path: Path, server: keycloak.Server) -> None:
    site = RestoredSite(tmp_path)
    # Two who are there: one with a password and a group of her own, one who is not of the file.
    secret = {"type": "password", "value": "planted-of-ada", "temporary": False}
    server.ask(
        "/qhub/users", {"username": "ada", "enabled": True, "groups": ["developer"], "credentials": [secret]}
    )
    server.ask("/qhub/users", {"username": "visitor", "enabled": True})

    done = site.run(server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.groups() == {
        "ada": {"admin", "users", "developer"},
        "grace": {"users"},
        "linus": {"scientists"},
        "visitor": set(),
    }
    assert {group["name"] for group in server.ask("/qhub/groups")} >= {"scientists", "empty"}
    assert site.evidence() == {
        "users": "3",
        "groups": "admin, scientists, users",
        "without_password": "grace, linus",
        "others_in_keycloak": "visitor",
    }

    again = site.run(server.url)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout


@pytest.mark.parametrize(
    ("port", "password", "message"),
    [
        (None, "planted-wrong", "Invalid user credentials|Could not obtain access token"),
        (1, "x" * 20, "refused"),
    ],
)
def test_a_keycloak_that_does_not_let_us_in_is_named_and_nothing_noted(
    tmp_path: Path, server: keycloak.Server, port: int | None, password: str, message: str
) -> None:
    site = RestoredSite(tmp_path)
    done = site.run(f"http://127.0.0.1:{port}/auth" if port else server.url, password)
    assert done.returncode != 0
    assert re.search(message, done.stdout), done.stdout
    assert site.evidence() == {}
