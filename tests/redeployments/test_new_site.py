"""The new site: users and root's password in a real Keycloak, verification, and the end of the old one."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import keycloak as admin_api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.keycloak import Keycloak

from tests.hubs.playbook import run_playbook
from tests.redeployments import keycloak
from tests.redeployments.internet import TOKEN, Names, StandIn, as_json, new_site, old_site, served
from tests.redeployments.killed import killed_at
from tests.redeployments.qhub_site import DOMAIN, OLD_DOMAIN, backed_up
from tests.redeployments.restored_site import IMPORT, RestoredSite

NEBARI = """\
project_name: institute
domain: nebari.example.org
nebari_version: 2025.10.1
environments:
  "environment-dask.yaml":
    name: dask
    channels:
    - conda-forge
security:
  authentication:
    type: password
"""


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

    # Killed once they are counted, and that is not noted.
    site.forget("import_users")
    take = functools.partial(site.take, server.url, "import_users", keycloak_password=keycloak.PASSWORD)
    assert killed_at(1, take)
    assert site.evidence() == {}
    assert take() == "carried out"


@pytest.mark.parametrize(
    ("port", "password", "message"),
    [
        (None, "planted-wrong", "does not let root in (status 401). Name the password that its root has now"),
        (
            1,
            "x" * 20,
            "cannot be reached: [Errno 111] Connection refused. Look whether the new site is deployed",
        ),
    ],
)
def test_a_keycloak_that_does_not_let_us_in_is_named_and_nothing_noted(
    tmp_path: Path, server: keycloak.Server, port: int | None, password: str, message: str
) -> None:
    site = RestoredSite(tmp_path)
    done = site.run(f"http://127.0.0.1:{port}/auth" if port else server.url, password)
    assert done.returncode != 0
    assert message in done.stdout, done.stdout
    assert site.evidence() == {}


def test_users_before_their_turn_or_of_another_file_are_not_imported(
    tmp_path: Path, server: keycloak.Server
) -> None:
    site = RestoredSite(tmp_path)
    users = site.folder / "qhub-users-import.json"
    users.write_text(users.read_text().replace("linus", "mallory"))
    site.forget("restore")
    done = site.run(server.url)
    assert "The step import_users comes after restore. Take that first" in done.stdout, done.stdout
    site.after("restore")
    done = site.run(server.url)
    assert f"{users} is not as `qhub upgrade` has made it. Restore it from" in done.stdout, done.stdout
    done = site.run("")
    assert f"Name it: qhub_keycloak_url: https://{DOMAIN}/auth." in done.stdout, done.stdout
    assert "mallory" not in server.groups()


def test_root_gets_a_password_of_its_own(tmp_path: Path, root: keycloak.Server) -> None:
    site = RestoredSite(tmp_path)
    site.after("import_users")
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
    site.after("import_users")
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
    site.after("import_users")
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


class Sites:
    """Both sites on the net, the new one with the real Keycloak."""

    def __init__(self, names: Names, old: StandIn, new: StandIn, github: StandIn) -> None:
        self.names, self.old, self.new = names, old, new
        old_site(old)
        new_site(new)
        github.pages = {"/login/oauth/authorize": lambda _asked: (200, [], b"Sign in to GitHub")}
        names.lead(domain=new.address, old_domain=old.address, github=github.address)


@pytest.fixture
def sites(tmp_path: Path, server: keycloak.Server) -> Iterator[Sites]:
    """As they are once users are in Keycloak, and the hub is its client."""
    if not server.groups():
        server.ask("/qhub/groups", {"name": "scientists"})
        for user in IMPORT["users"]:
            server.ask("/qhub/users", user)
    names = Names(tmp_path)
    with served(names) as old, served(names, server.url) as new, served(names) as github:
        yield Sites(names, old, new, github)


def set_client(server: keycloak.Server, redirect_uri: str) -> None:
    """The hub as a client of Keycloak, as QHub makes it."""
    for client in server.ask("/qhub/clients?clientId=jupyterhub"):
        server.ask(f"/qhub/clients/{client['id']}", method="DELETE")
    server.ask("/qhub/clients", {"clientId": "jupyterhub", "redirectUris": [redirect_uri]})


CALLBACK = f"https://{DOMAIN}/hub/oauth_callback"


def test_the_new_site_is_verified_as_a_person_meets_it(
    tmp_path: Path, server: keycloak.Server, sites: Sites
) -> None:
    site = RestoredSite(tmp_path)
    site.after("import_users", "root_password")
    wanted = site.wanted(keycloak_password=keycloak.PASSWORD, hub_token=TOKEN)

    set_client(server, f"https://{OLD_DOMAIN}/hub/oauth_callback")
    assert "Keycloak has answered 400 to the log-in of the hub" in sites.names.take(wanted, "verify")
    set_client(server, CALLBACK)
    new_site(sites.new, redirect_uri=f"https://{OLD_DOMAIN}/hub/oauth_callback")
    assert f"has the redirect_uri https://{OLD_DOMAIN}" in sites.names.take(wanted, "verify")
    new_site(sites.new)
    sites.new.pages["/hub/api/users"] = lambda _asked: as_json([{"name": "ada"}])
    assert "1 users of the backup are not in the new hub: grace" in sites.names.take(wanted, "verify")
    sites.new.pages["/hub/api/"] = lambda _asked: (503, [], b"")
    assert "has answered 503, and not the version of a hub" in sites.names.take(wanted, "verify")
    new_site(sites.new)
    sites.names.take(wanted, "verify", kill=1)
    assert site.evidence("verify") == {}

    done = site.run("", playbook="qhub_verify.yml", within=sites.names.within, qhub_hub_token=TOKEN)
    assert done.returncode == 0, done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert site.evidence("verify") == {
        "addresses": sites.new.address,
        "jupyterhub": "1.5.0",
        "log_in": f"Keycloak's page, redirect_uri {CALLBACK}",
        "users_in_keycloak": "3",
        "users_in_hub": "2",
    }


def test_a_log_in_by_github_is_followed_to_github(
    tmp_path: Path, server: keycloak.Server, sites: Sites
) -> None:
    site = RestoredSite(tmp_path)
    site.after("import_users", "root_password")
    config = site.folder / "qhub-config.yaml"
    config.write_text(config.read_text().replace("type: password", "type: GitHub"))
    wanted = site.wanted(keycloak_password=keycloak.PASSWORD)
    set_client(server, CALLBACK)
    assert "Keycloak's page of the log-in does not lead to GitHub" in sites.names.take(wanted, "verify")

    provider = {"alias": "github", "providerId": "github", "enabled": True}
    settings = {"clientId": "planted", "clientSecret": "planted"}
    server.ask("/qhub/identity-provider/instances", {**provider, "config": settings})
    try:
        assert sites.names.take(wanted, "verify") == "carried out"
    finally:
        server.ask("/qhub/identity-provider/instances/github", method="DELETE")
    endpoint = f"https://{DOMAIN}/auth/realms/qhub/broker/github/endpoint"
    assert site.evidence("verify")["log_in"] == f"GitHub's page behind Keycloak's, redirect_uri {endpoint}"


def test_the_old_cluster_is_destroyed_by_name_and_only_beside_a_new_site_that_works(
    tmp_path: Path, server: keycloak.Server, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = RestoredSite(tmp_path)
    site.after("import_users", "root_password", "verify")
    terraform = tmp_path / "tmp/terraform/1.0.5"
    terraform.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("terraform"), terraform)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "planted-cloud")
    set_client(server, CALLBACK)
    wanted = site.wanted(
        keycloak_password=keycloak.PASSWORD,
        destroy_project="oldproj",
        destroy_options=("--skip-remote-state-provision",),
    )

    def destroy(kill: int = 0, **changes: Any) -> str:
        return sites.names.take(replace(wanted, **changes), "destroy_old_site", kill)

    for name, shown in (("", "nowhere"), ("newproj", "newproj")):
        assert f"is named {shown}, and the old site's is oldproj" in destroy(destroy_project=name)
    data = tmp_path / "home.tar"
    content = data.read_bytes()
    data.write_bytes(content + b"x")
    assert "home.tar is not there as it was verified" in destroy()
    data.write_bytes(content)
    sites.new.pages["/hub/api/"] = lambda _asked: (503, [], b"")
    assert "has answered 503" in destroy()
    new_site(sites.new)
    # Killed before it is noted that the old site may be gone: it is not.
    destroy(kill=1)
    assert not (terraform / "calls").exists()

    # A cloud that does not do it, and one that says that it has.
    (terraform / "fails").touch()
    assert "`qhub destroy` of 0.3.14 has ended with status 1, and not all is gone" in destroy()
    assert "There is no old site to go back to" in sites.names.take(wanted, "restore_old_domain")
    (terraform / "fails").unlink()
    assert "a hub of JupyterHub 1.4.2 still answers at qhub-old.example.org" in destroy()

    # Killed when it is gone, and that is not noted.
    sites.old.pages = {}
    destroy(kill=2)
    assert site.evidence("destroy_old_site") == {}
    variables: dict[str, Any] = {
        "qhub_destroy_project": "oldproj",
        "qhub_destroy_options": list(wanted.destroy_options),
    }
    done = site.run("", playbook="qhub_destroy.yml", within=sites.names.within, **variables)
    assert done.returncode == 0, done.stdout
    assert "14 of 14 steps done" in done.stdout
    assert "planted" not in (site.kept / "destroy_old_site.log").read_text()
    calls = (terraform / "calls").read_text().splitlines()
    assert f"{site.kept}/old-site/infrastructure destroy -auto-approve" in calls

    again = site.run("", playbook="qhub_destroy.yml", within=sites.names.within, **variables)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout
    assert (terraform / "calls").read_text().splitlines() == calls


def test_people_of_a_nebari_are_written_down_without_their_passwords(
    tmp_path: Path, server: keycloak.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ask("", {"realm": "nebari", "enabled": True})
    server.ask("/nebari/groups", {"name": "users"})
    server.ask("/nebari/groups", {"name": "projects"})
    [projects] = [each for each in server.ask("/nebari/groups") if each["name"] == "projects"]
    server.ask(f"/nebari/groups/{projects['id']}/children", {"name": "rainfall"})
    secret = {"type": "password", "value": "planted-of-ada", "temporary": False}
    ada = {"username": "ada", "enabled": True, "email": "ada@example.org", "credentials": [secret]}
    server.ask("/nebari/users", {**ada, "groups": ["/users", "/projects/rainfall"]})
    for name in ("grace", "linus", "visitor"):
        server.ask("/nebari/users", {"username": name, "enabled": name != "visitor"})
    (tmp_path / "nebari-config.yaml").write_text(NEBARI)
    backed_up(tmp_path / "home.tar", tmp_path / "jupyterhub.sqlite")
    written = tmp_path / "nebari.json"
    variables = {
        "nebari_folder": str(tmp_path),
        "nebari_export_file": str(written),
        "nebari_keycloak_url": server.url,
        "nebari_keycloak_password": keycloak.PASSWORD,
        "nebari_user_data_backup": str(tmp_path / "home.tar"),
    }
    done = run_playbook("nebari_export.yml", tmp_path, variables, "-vvv")
    assert done.returncode == 0, done.stdout + done.stderr

    found = json.loads(written.read_text())
    assert found["users"][0] == {
        "username": "ada",
        "enabled": True,
        "email": "ada@example.org",
        "groups": ["/projects/rainfall", "/users"],
    }
    others = [(user["username"], user["enabled"]) for user in found["users"][1:]]
    assert others == [("grace", True), ("linus", True), ("visitor", False)]
    assert [group["path"] for group in found["groups"]] == ["/projects", "/projects/rainfall", "/users"]
    assert found["homes"]["home/ada"] == {"files": 1, "bytes": 24}
    assert found["environments"] == {"environment-dask.yaml": "name: dask\nchannels:\n- conda-forge\n"}
    assert written.stat().st_mode & 0o777 == 0o600
    assert "planted" not in written.read_text() + done.stdout + done.stderr

    again = run_playbook("nebari_export.yml", tmp_path, variables)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout
    # Where one answer of Keycloak has only some of them.
    monkeypatch.setattr(admin_api, "PAGE", 2)
    asked = Keycloak(server.url, "root", keycloak.PASSWORD, "nebari")
    assert (asked.people(), asked.groups()) == (found["users"], found["groups"])
