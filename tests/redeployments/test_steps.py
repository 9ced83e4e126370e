"""Each step of a redeployment with real QHub: its outcome, its gate, and what it refuses."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import record, redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Backup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests.redeployments.killed import cut_off, killed_at
from tests.redeployments.qhub_site import NEW, OLD, OLD_DOMAIN, ORDER, SECRETS, RealSite, git


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealSite:
    """A site whose programs are installed."""
    found = RealSite(tmp_path)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    found.have_programs()
    return found


@pytest.fixture(scope="module")
def upgraded_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[RealSite, Path]:
    """A site before its deployment, and a copy of its folder."""
    folder = tmp_path_factory.mktemp("upgraded")
    found = RealSite(folder / "here")
    with pytest.MonkeyPatch.context() as variables:
        for name, value in found.environment.items():
            variables.setenv(name, value)
        found.have_programs()
        found.take(*ORDER[:5])
    shutil.copytree(folder / "here", folder / "copy", symlinks=True)
    return found, folder


@pytest.fixture
def upgraded(upgraded_once: tuple[RealSite, Path], monkeypatch: pytest.MonkeyPatch) -> RealSite:
    """A site before its deployment."""
    found, folder = upgraded_once
    shutil.rmtree(folder / "here")
    shutil.copytree(folder / "copy", folder / "here", symlinks=True)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def test_the_whole_way(site: RealSite) -> None:
    before = site.config
    site.restore()
    for step in ORDER:
        assert site.take(step).message == "carried out"

    # What an administrator reads of the way to the new config, comments and order kept.
    changed = [
        line[1:].strip()
        for line in difflib.ndiff(before.splitlines(), site.config.splitlines())
        if line[:1] in "+-" and "image" not in line and "quansight" not in line
    ]
    assert "# Our site. Ask operations before a change." in site.config
    assert "domain: qhub.example.org  # printed on every poster" in site.config
    assert {"project_name: newproj", "kubernetes_version: '1.22'", "qhub_version: 0.4.5"} <= set(changed)
    assert "prevent_deploy" not in site.config
    assert [call for call in site.calls() if "apply" in call and "07-kubernetes-services" in call]
    # The old one was deployed from its copy, with the other domain.
    assert f"domain: {OLD_DOMAIN}" in (site.kept / "old-site/qhub-config.yaml").read_text()
    assert [call for call in site.calls() if "old-site/infrastructure apply" in call]
    # The backup is the config byte for byte.
    assert (site.folder / f"qhub-config.yaml.before-{NEW}").read_text() == before
    imported = json.loads((site.folder / "qhub-users-import.json").read_text())
    assert sorted(user["username"] for user in imported["users"]) == ["ada", "example-user", "grace", "linus"]

    # Config and workflows are one commit at the remote, and nothing that has hashes of passwords.
    branch = f"qhub-{NEW}"
    commits = git(site.remote, "log", "--format=%s", f"main..{branch}").splitlines()
    names = set(git(site.remote, "ls-tree", "-r", "--name-only", branch).splitlines())
    assert commits == [f"QHub {OLD} -> {NEW}"]
    assert {"qhub-config.yaml", ".github/workflows/qhub-ops.yaml"} <= names
    assert [name for name in names if "users-import" in name or "before" in name] == []
    assert git(site.remote, "show", f"{branch}:qhub-config.yaml") == site.config.strip()

    # A second time nothing is done.
    content, calls = site.content(), site.calls()
    assert not any(site.take(step).changed for step in ORDER)
    assert (site.content(), site.calls()) == (content, calls)


def test_no_secret_gets_into_the_record_or_what_is_kept_of_the_output(site: RealSite) -> None:
    shown = [str(site.take(step).result) for step in ORDER[:4]]
    password = [line.split()[-1] for line in site.config.splitlines() if "initial_root_password" in line]
    kept = [path.read_text() for path in (*site.kept.glob("*.log"), site.kept / "redeployment.json")]
    assert len(password[0]) == 16
    assert "Generated default random password=********" in (site.kept / "upgrade_config.log").read_text()
    for text in (*shown, *kept, "\n".join(redeployment.lines(redeployment.plan(site.wanted)))):
        assert [secret for secret in (*SECRETS, *password) if secret in text] == []
    assert {path.stat().st_mode & 0o777 for path in site.kept.glob("*.log")} == {0o600}


def test_a_step_before_its_turn_is_refused(site: RealSite) -> None:
    site.take("back_up")
    with pytest.raises(
        HubError, match="deploy comes after install, rename_old_site, upgrade_config, rename_project"
    ):
        site.take("deploy")
    assert site.calls() == []


def test_the_gate_wants_the_backups_as_they_were(upgraded: RealSite) -> None:
    calls = upgraded.calls()

    upgraded.database.unlink()
    with pytest.raises(HubError, match="jupyterhub.sqlite cannot be read: No such file"):
        upgraded.take("deploy")

    with sqlite3.connect(upgraded.database) as other:
        other.execute("CREATE TABLE users (id INTEGER)")
    with pytest.raises(HubError, match="not the one that was verified in the first step: hub_database"):
        upgraded.take("deploy")

    assert upgraded.calls() == calls
    assert "prevent_deploy: true" in upgraded.config


def test_the_gate_wants_the_backups_new(upgraded: RealSite) -> None:
    os.utime(upgraded.data, (time.time() - 90000, time.time() - 90000))
    with pytest.raises(HubError, match=r"home.tar is 25.0 h old, and qhub_backup_max_age allows 24.0 h"):
        upgraded.take("deploy")
    assert upgraded.take("deploy", backup_max_age=100000).changed


def test_another_backup_is_verified_anew(site: RealSite) -> None:
    site.take("back_up")
    newer = site.data.rename(site.data.with_name("newer.tar"))
    assert site.take("back_up", user_data=Backup(str(newer))).message == "carried out"


def test_a_backup_that_differs_from_the_sums_beside_it_is_refused(site: RealSite) -> None:
    sums = site.data.with_name("SHA256SUMS")
    sums.write_text(f"{'0' * 64}  home.tar\n")
    with pytest.raises(HubError, match=r"home.tar has the checksum .*, not 0000.* it has changed since"):
        site.take("back_up", user_data=Backup(str(site.data)))
    sums.write_text(f"{files.sha256(site.data)}  home.tar\n")
    assert site.take("back_up", user_data=Backup(str(site.data))).message == "carried out"


def break_tar(site: RealSite) -> None:
    site.data.write_bytes(site.data.read_bytes()[:400])


def cut_tar(site: RealSite) -> None:
    """After a member: what is there can be read."""
    with tarfile.open(site.data) as archive:
        last = archive.getmembers()[-1]
    site.data.write_bytes(site.data.read_bytes()[: last.offset])


def break_database(site: RealSite) -> None:
    site.database.write_bytes(site.database.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("breaking", "changes", "message"),
    [
        (lambda site: None, {"user_data": None}, "No backup is named: qhub_user_data_backup"),
        (cut_tar, {"user_data": "unnoted"}, "home.tar is no whole tar: its end is missing"),
        (break_tar, {"user_data": "unnoted"}, "home.tar is no whole tar: file could not be opened"),
        (break_tar, {}, "home.tar has the checksum .* it has changed since it was made"),
        (lambda site: site.data.write_bytes(b""), {"user_data": "unnoted"}, "home.tar is no whole tar"),
        (break_database, {}, "jupyterhub.sqlite is no intact SQLite database"),
    ],
)
def test_a_backup_that_cannot_be_relied_on_is_refused(
    site: RealSite, breaking: Callable[[RealSite], None], changes: dict[str, object], message: str
) -> None:
    breaking(site)
    if changes.get("user_data") == "unnoted":
        changes = {"user_data": Backup(str(site.data))}
    with pytest.raises(HubError, match=message):
        site.take("back_up", **changes)
    assert site.state_of("back_up") == "next"


def test_a_deployment_that_fails_leaves_the_gate_and_can_be_repeated(upgraded: RealSite) -> None:
    (upgraded.terraform / "fails").touch()
    with pytest.raises(HubError, match="`qhub deploy` has ended with status 1") as failure:
        upgraded.take("deploy")
    assert "All of the output is in" in failure.value.hint
    assert "prevent_deploy: true" in upgraded.config
    # Who looks at it later is told.
    lines = redeployment.lines(redeployment.plan(upgraded.wanted))
    failed = lines.index("  next  Deploy the new site") + 1
    assert re.search(r"failed at 20\S+ by root: `qhub deploy` has ended with status 1", lines[failed])

    (upgraded.terraform / "fails").unlink()
    assert upgraded.take("deploy").changed
    assert "prevent_deploy" not in upgraded.config
    assert [line for line in redeployment.lines(redeployment.plan(upgraded.wanted)) if "failed" in line] == []


def test_what_qhub_does_not_upgrade_is_told_and_the_site_unchanged(site: RealSite) -> None:
    site.take(*ORDER[:3])
    site.config = site.config.replace("    type: password\n", "    type: custom\n")
    content = site.content()
    with pytest.raises(HubError, match="Custom Authenticators are no longer supported"):
        site.take("upgrade_config")
    assert site.content() == content


def test_another_version_or_folder_than_it_was_begun_with_is_refused(site: RealSite) -> None:
    site.take("back_up")
    with pytest.raises(HubError, match=r"was begun with qhub_version 0.4.5, not 0.4.4"):
        site.take("install", version="0.4.4")


@pytest.mark.parametrize("step", ["back_up", "rename_old_site", "upgrade_config"])
def test_a_step_that_is_killed_is_taken_again(site: RealSite, step: str) -> None:
    site.take(*ORDER[: ORDER.index(step)])
    for _kill in cut_off(site, step):
        assert site.state_of(step) == "next"
        assert len(site.config) > 1000
    # The one that was not killed has done it.
    assert not site.take(step).changed


def test_a_renaming_that_is_killed_is_taken_again(upgraded: RealSite) -> None:
    """Its config is upgraded, and named by hand as it was."""
    upgraded.config = upgraded.config.replace("newproj", "oldproj").replace("'1.22'", "'1.18'")
    assert len(list(cut_off(upgraded, "rename_project"))) > 1
    assert "project_name: newproj" in upgraded.config


def test_a_deployment_that_is_killed_keeps_its_gate_until_the_site_is_there(upgraded: RealSite) -> None:
    # After the refusal, after the deployment, before the gate is opened for good, and before the record.
    for kill in (4, 6, 7, 8):
        assert killed_at(kill, lambda: upgraded.take("deploy"))
        applied = [call for call in upgraded.calls() if "08-qhub-tf-extensions apply" in call]
        assert upgraded.state_of("deploy") == "next"
        assert applied or "prevent_deploy: true" in upgraded.config
    assert upgraded.take("deploy").changed
    assert "prevent_deploy" not in upgraded.config
    assert not upgraded.take("deploy").changed


def test_an_installation_that_is_killed_is_begun_again(tmp_path: Path) -> None:
    site = RealSite(tmp_path)
    site.take("back_up")
    assert killed_at(6, lambda: site.take("install"))
    assert site.state_of("install") == "next"
    site.take("install")
    assert site.state_of("install") == "done"
    # What was made is left alone, and what is broken is made again.
    assert not site.take("install").changed
    (site.kept / f"qhub-{OLD}/complete").unlink()
    assert site.state_of("install") == "again"


@pytest.fixture
def deployed(upgraded: RealSite) -> RealSite:
    """A site whose deployment and commit need not be looked at any more."""
    begun = record.read(upgraded.kept)
    assert begun
    for name in ("deploy", "add_callback", "commit"):
        begun = begun.with_step(record.Done(name, "", "", 0.0, {}))
    record.write(upgraded.kept, begun)
    upgraded.restore()
    return upgraded


def leave_shared(volume: Path) -> None:
    (volume / "shared").rename(volume / "home/shared")


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (
            lambda volume: (volume / "home/ada/analysis.ipynb").unlink(),
            "1 files are missing: home/ada/analysis",
        ),
        (
            lambda volume: (volume / "home/grace/notes.txt").write_text("other"),
            "1 files have another content: home/grace/notes.txt",
        ),
        (lambda volume: os.chown(volume / "home/grace", 0, 0), "1 do not belong to 1000:100: home/grace"),
        (leave_shared, "1 files are missing: shared/users/all.csv; home/shared is still there"),
    ],
)
def test_data_that_is_not_restored_is_named(
    deployed: RealSite, breaking: Callable[[Path], object], message: str
) -> None:
    breaking(Path(deployed.wanted.restored_data))
    with pytest.raises(HubError, match=message):
        deployed.take("restore")
    assert deployed.state_of("restore") == "next"


def test_a_database_that_is_not_restored_is_named(deployed: RealSite) -> None:
    with sqlite3.connect(deployed.wanted.restored_database) as database:
        database.execute("DELETE FROM users WHERE name = 'grace'")
        database.execute("DELETE FROM dashboards")
    with pytest.raises(HubError, match="users are missing: grace; rows are missing in users, dashboards"):
        deployed.take("restore")


def test_a_restore_without_evidence_or_with_a_changed_backup_is_refused(deployed: RealSite) -> None:
    with pytest.raises(HubError, match="qhub_restored_data, qhub_restored_database"):
        deployed.take("restore", restored_data="")
    deployed.data.write_bytes(deployed.data.read_bytes() + b"x")
    with pytest.raises(HubError, match=r"home.tar has changed since it was verified"):
        deployed.take("restore")


def after_deployment(begun: record.Redeployment) -> record.Redeployment:
    """As if the new site were deployed."""
    for name in ("deploy", "add_callback"):
        begun = begun.with_step(record.Done(name, "", "", 0.0, {}))
    return begun


def test_a_commit_that_is_killed_is_made_once(upgraded: RealSite) -> None:
    begun = record.read(upgraded.kept)
    assert begun
    record.write(upgraded.kept, after_deployment(begun))
    upgraded.config = upgraded.config.replace("prevent_deploy: true\n", "")
    # After the branch, the commit and the push, and before the record.
    for kill in (8, 11, 8, 9):
        assert killed_at(kill, lambda: upgraded.take("commit"))
        assert upgraded.state_of("commit") == "next"
    assert upgraded.take("commit").changed
    assert len(git(upgraded.remote, "log", "--format=%s", f"main..qhub-{NEW}").splitlines()) == 1


def test_a_folder_that_is_no_clone_is_refused_where_the_site_has_ci_cd(upgraded: RealSite) -> None:
    begun = record.read(upgraded.kept)
    assert begun
    record.write(upgraded.kept, after_deployment(begun))
    shutil.rmtree(upgraded.folder / ".git")
    with pytest.raises(
        HubError, match=r"is no clone of a repository, and the site has CI/CD \(github-actions\)"
    ):
        upgraded.take("commit")
