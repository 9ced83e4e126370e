"""Users and groups into a real Keycloak."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import record, redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.keycloak import Keycloak
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.record import Done, Redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests.hubs.playbook import run_playbook
from tests.redeployments import keycloak
from tests.redeployments.killed import killed_at
from tests.redeployments.qhub_site import DOMAIN, NEW, OLD, installed

CONFIG = f"""\
project_name: newproj
provider: aws
domain: {DOMAIN}
qhub_version: {NEW}
security:
  authentication:
    type: password
  keycloak:
    initial_root_password: {keycloak.PASSWORD}
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


@pytest.fixture
def root(server: keycloak.Server) -> Iterator[keycloak.Server]:
    """The same, whose root has the first password again afterwards."""
    yield server
    if server.password != keycloak.PASSWORD:
        Keycloak(server.url, "root", server.password).change_own_password(keycloak.PASSWORD)
        server.password = keycloak.PASSWORD


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

    def run(
        self, url: str, password: str = keycloak.PASSWORD, playbook: str = "qhub_users.yml", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = run_playbook(
            playbook,
            self.tests,
            {
                "qhub_folder": str(self.folder),
                "qhub_state_folder": str(self.tests / "state"),
                "qhub_keycloak_url": url,
                "qhub_keycloak_password": password,
                **variables,
            },
            "-vvv",
        )
        assert password not in done.stdout + done.stderr
        return done

    def evidence(self, step: str = "import_users") -> dict[str, str]:
        begun = record.read(self.kept)
        assert begun
        return begun.evidence(step)

    def without_users(self) -> None:
        """As if they had been imported."""
        begun = record.read(self.kept)
        assert begun
        record.write(self.kept, begun.with_step(Done("import_users", "", "root", 0.0, {})))

    def take(self, url: str, **changes: str) -> str:
        """Take the step that changes root's password; what became of it."""
        wanted = Site(str(self.folder), state_folder=str(self.tests / "state"), keycloak_url=url)
        return redeployment.take(replace(wanted, **changes), "root_password").message  # type: ignore[arg-type]


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


def test_root_gets_a_password_of_its_own(tmp_path: Path, root: keycloak.Server) -> None:
    site = RestoredSite(tmp_path)
    site.without_users()
    kept = tmp_path / "root"

    # Where a run is cut off, the next one knows which password is right: before the file, before its name is
    # the final one (Keycloak has the password), before the record.
    for kill in (1, 2, 2):
        assert killed_at(kill, lambda: site.take(root.url, keycloak_password_file=str(kept)))
        assert site.evidence("root_password") == {}
    done = site.run(root.url, playbook="qhub_root_password.yml", qhub_keycloak_password_file=str(kept))
    root.password = kept.read_text().strip()

    assert done.returncode == 0, done.stdout
    assert root.password not in done.stdout + done.stderr + (site.kept / "redeployment.json").read_text()
    assert (len(root.password) >= 32, kept.stat().st_mode & 0o777) == (True, 0o600)
    assert (root.lets_in(root.password), root.lets_in(keycloak.PASSWORD)) == (True, False)
    assert site.evidence("root_password") == {"file": str(kept), "first_password": "is refused"}
    assert site.take(root.url, keycloak_password_file=str(tmp_path / "other")).startswith("done at")


def test_a_password_that_a_person_has_changed_is_accepted(tmp_path: Path, root: keycloak.Server) -> None:
    site = RestoredSite(tmp_path)
    site.without_users()
    with pytest.raises(HubError, match="is to have another password than the config's"):
        site.take(root.url)
    with pytest.raises(HubError, match=r"does not let root in \(status 401\)"):
        site.take(root.url, keycloak_password="planted-by-hand")
    Keycloak(root.url, "root", keycloak.PASSWORD).change_own_password("planted-by-hand")
    root.password = "planted-by-hand"
    assert site.take(root.url, keycloak_password="planted-by-hand") == "carried out"
    assert site.evidence("root_password") == {"changed_by": "a person", "first_password": "is refused"}


def test_a_place_that_is_wrong_for_a_password_is_refused_and_it_stays(
    tmp_path: Path, server: keycloak.Server
) -> None:
    site = RestoredSite(tmp_path)
    site.without_users()
    there = tmp_path / "there"
    there.write_text("another one")
    for place, message in {
        site.folder / "root": "would get into the repository",
        tmp_path / "nowhere/root": "There is no folder",
        there: "Keycloak's root does not have the password in it",
    }.items():
        with pytest.raises(HubError, match=message):
            site.take(server.url, keycloak_password_file=str(place))
    assert server.lets_in(keycloak.PASSWORD)
