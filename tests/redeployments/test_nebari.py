"""The config of a Nebari upgraded by real Nebari from PyPI, which ends with status 0 also half-way."""

from __future__ import annotations

import fcntl
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import nebari

from tests.hubs import real_hub
from tests.hubs.playbook import run_playbook

OLD, NEW = "2025.6.1", "2025.10.1"
DOMAIN = "nebari.example.org"
CONFIG = f"""\
# Our site. Ask operations before a change.
provider: local
namespace: dev
nebari_version: {OLD}
project_name: institute
domain: {DOMAIN}
ci_cd:
  type: none
terraform_state:
  type: remote
security:
  keycloak:
    initial_root_password: planted-root-password
  authentication:
    type: password
"""
#: Not to patch Helm releases by itself, to go on after its list of commands, and that they are patched.
ANSWERS = ("n", "", "y")


@pytest.fixture(scope="module")
def program() -> Path:
    """A state folder in which Nebari is installed as the collection does it; made once and kept."""
    kept = real_hub.CACHE / f"nebari-{NEW}-{sys.version_info.minor}"
    folder = kept / "nebari" / DOMAIN
    folder.mkdir(parents=True, exist_ok=True)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        nebari.have_program(nebari.Wanted("", NEW, python=sys.executable), folder, NEW)
    return folder / f"nebari-{NEW}"


@pytest.fixture
def wanted(tmp_path: Path, program: Path) -> nebari.Wanted:
    """A site, and Nebari for it."""
    (tmp_path / "nebari-config.yaml").write_text(CONFIG)
    kept = tmp_path / "state/nebari" / DOMAIN
    kept.mkdir(parents=True)
    (kept / program.name).symlink_to(program)
    return nebari.Wanted(str(tmp_path), NEW, answers=ANSWERS, state_folder=str(tmp_path / "state"))


def files_of(wanted: nebari.Wanted) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(wanted.folder).glob("nebari-config*")}


def test_an_upgrade_that_stops_half_way_is_no_upgrade(wanted: nebari.Wanted) -> None:
    message = "has ended with status 0, and the config is still of Nebari 2025.6.1:\n.*must patch"
    with pytest.raises(HubError, match=f"(?s){message}") as failure:
        nebari.upgrade(replace(wanted, answers=("n", "", "n")))
    assert "3 of which are answered: nebari_answers" in failure.value.hint
    assert files_of(wanted) == {"nebari-config.yaml": CONFIG}


def test_a_config_is_upgraded_once_with_its_copy_beside_it(wanted: nebari.Wanted, tmp_path: Path) -> None:
    variables = {
        "nebari_folder": wanted.folder,
        "nebari_version": NEW,
        "nebari_answers": list(ANSWERS),
        "nebari_state_folder": wanted.state_folder,
    }
    tried = run_playbook("nebari_upgrade.yml", tmp_path, variables, "--check")
    assert (tried.returncode, files_of(wanted)) == (0, {"nebari-config.yaml": CONFIG}), tried.stdout

    done = run_playbook("nebari_upgrade.yml", tmp_path, variables, "--diff")
    assert done.returncode == 0, done.stdout
    found = files_of(wanted)
    assert found[f"nebari-config.yaml.before-{NEW}"] == CONFIG
    assert f"nebari_version: {NEW}" in found["nebari-config.yaml"]
    assert f"+nebari_version: {NEW}" in done.stdout
    log = (tmp_path / f"state/nebari/{DOMAIN}/upgrade-{NEW}.log").read_text()
    assert "planted" not in done.stdout + done.stderr + log

    again = run_playbook("nebari_upgrade.yml", tmp_path, variables)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout


def test_fixes_in_a_cluster_are_attempted_only_where_it_is_named(wanted: nebari.Wanted) -> None:
    for name, kubeconfig in (("yes", "/root/.kube/config"), (DOMAIN, "")):
        with pytest.raises(HubError, match="--attempt-fixes changes and deletes objects in a cluster"):
            nebari.upgrade(replace(wanted, attempt_fixes=name, kubeconfig=kubeconfig))
    assert files_of(wanted) == {"nebari-config.yaml": CONFIG}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ((f"nebari_version: {OLD}\n", ""), "has no nebari_version"),
        ((OLD, "2026.1.1"), "The site has Nebari 2026.1.1, and 2025.10.1 is wanted"),
        ((f"domain: {DOMAIN}\n", ""), "is not a config of Nebari: it has no domain"),
    ],
)
def test_what_cannot_be_upgraded_is_said(
    wanted: nebari.Wanted, changed: tuple[str, str], message: str
) -> None:
    (Path(wanted.folder) / "nebari-config.yaml").write_text(CONFIG.replace(*changed))
    with pytest.raises(HubError, match=message):
        nebari.upgrade(wanted)
