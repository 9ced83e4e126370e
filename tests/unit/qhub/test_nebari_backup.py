"""An upgrade of Nebari that dumps Keycloak's database: a script stands in for 2026.3.1 and its cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import nebari

from tests.redeployments.killed import killed_at

DOMAIN, OLD, NEW = "nebari.example.org", "2025.10.1", "2026.3.1"
CONFIG = f"project_name: institute\nprovider: aws\ndomain: {DOMAIN}\nnebari_version: {OLD}\n"
#: With the dump it ends with status 0 whatever is in it, as the real one does.
SCRIPT = f"""#!/bin/sh
cp "{{dump}}" keycloak-backup.sql
cp nebari-config.yaml nebari-config.yaml.{OLD}.backup
sed -i 's/{OLD}/{NEW}/' nebari-config.yaml
"""


@pytest.fixture
def wanted(tmp_path: Path) -> nebari.Wanted:
    """A site, and the stand-in as if it were installed."""
    (tmp_path / nebari.NAME).write_text(CONFIG)
    program = tmp_path / "state/nebari" / DOMAIN / f"nebari-{NEW}"
    (program / "bin").mkdir(parents=True)
    (program / "complete").touch()
    (program / "bin/nebari").write_text(SCRIPT.format(dump=tmp_path / "dump.sql"))
    (program / "bin/nebari").chmod(0o755)
    return nebari.Wanted(str(tmp_path), NEW, state_folder=str(tmp_path / "state"))


def test_its_backup_is_kept_and_counted(wanted: nebari.Wanted, tmp_path: Path) -> None:
    dump = Path(__file__).with_name("keycloak.sql").read_bytes()
    (tmp_path / "dump.sql").write_bytes(dump)
    evidence = nebari.upgrade(wanted).evidence
    kept = Path(evidence["keycloak_backup"])
    assert (evidence["keycloak_users"], evidence["keycloak_groups"]) == ("3", "3")
    assert kept.read_bytes() == dump
    assert (kept.parent, kept.stat().st_mode & 0o777) == (tmp_path / "state/nebari" / DOMAIN, 0o600)


def test_an_upgrade_that_is_killed_is_made_again_and_no_dump_is_lost(
    wanted: nebari.Wanted, tmp_path: Path
) -> None:
    """Killed before each program that it runs, and each file that it gives its name."""
    dump = Path(__file__).with_name("keycloak.sql").read_text()
    config, kept = tmp_path / nebari.NAME, tmp_path / "state/nebari" / DOMAIN

    def upgrade() -> nebari.Upgraded:
        # Each time the cluster has another one: after a fix that was cut off perhaps none of any use.
        (tmp_path / "dump.sql").write_text(f"-- of run {run}\n{dump}")
        return nebari.upgrade(wanted)

    run = 1
    while killed_at(run, upgrade):
        assert config.read_text() == CONFIG
        run += 1
    assert run > 6
    assert config.read_text() == CONFIG.replace(OLD, NEW)
    assert config.with_name(f"{nebari.NAME}.before-{NEW}").read_text() == CONFIG
    # The first two were killed before there was one.
    dumps = {path.read_text().splitlines()[0] for path in kept.glob("keycloak-backup*.sql")}
    assert dumps == {f"-- of run {number}" for number in range(3, run + 1)}
    assert {path.stat().st_mode & 0o777 for path in kept.glob("keycloak-backup*.sql")} == {0o600}


def test_a_backup_without_users_is_no_upgrade(wanted: nebari.Wanted, tmp_path: Path) -> None:
    # Its own check is that the file is not empty.
    (tmp_path / "dump.sql").write_text("pg_dump: error: connection to server failed\n")
    with pytest.raises(HubError, match="is no whole dump: its end is missing"):
        nebari.upgrade(wanted)
    assert (tmp_path / nebari.NAME).read_text() == CONFIG
