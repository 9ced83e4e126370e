"""Rollback days after the upgrade, with a report of what it would lose; and the upgrade again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import recovery_point

from tests.testbed import Hub, lost_rows, staged
from tests.testbed.judge import Before, main_process, untouched
from tests.testbed.staged import TARGET

from .refusal import reason

BY_ITSELF = ("/var/lib/hubops", "/tmp")


def upgrade(hub: Hub) -> None:
    staged.lay_out(hub)
    hub.playbook("upgrade.yml", {"jupyterhub_version": TARGET, "jupyterhub_rehearse": False})
    hub.wait_until_answers(TARGET)


def roll_back(hub: Hub, version: str, **variables: Any) -> str:
    """Roll back, wait for the version that must serve then, and return the output."""
    finished = hub.playbook("rollback.yml", variables)
    hub.wait_until_answers(version)
    assert finished.report["outcome"] == "rolled back", finished.report
    assert finished.report["conclusion"].endswith(f" has been rolled back to {version}.")
    assert f"{hub.container}: JupyterHub " in finished.stdout
    return finished.stdout


def points(hub: Hub) -> list[str]:
    """Ids of the recovery points, oldest first."""
    listed = hub.exec(["ls", f"{hub.layout.state_folder}/jupyterhub/recovery"]).stdout
    return listed.split()


def test_a_backup_is_copied_and_restored(fresh_hub: Hub, tmp_path: Path) -> None:
    hub = fresh_hub
    unit = f"/etc/systemd/system/{hub.layout.systemd_unit}"
    old = Before.of(hub)
    hub.playbook("backup.yml", {"jupyterhub_backup_fetch": str(tmp_path / "copies")})
    (point,) = points(hub)
    copy = tmp_path / "copies" / hub.container / point
    assert {path.stat().st_mode & 0o777 for path in copy.rglob("*")} == {0o600, 0o700}
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    recovery_point.verify(copy)
    assert (copy / "files/etc/jupyterhub/environment").read_text() == hub.read("/etc/jupyterhub/environment")

    text = hub.read(unit)
    hub.exec(["tee", "-a", unit], stdin="[Service]\nEnvironment=SPOILT=yes\n")
    hub.exec(["systemctl", "daemon-reload"])
    assert hub.api("/users/newcomer", method="POST").status == 201
    named = {"jupyterhub_recovery_point": point}
    said = reason(hub.playbook("rollback.yml", named, expect_rc=2).stdout)
    assert "users: 1 new (newcomer)" in said

    kept = f"{hub.layout.state_folder}/jupyterhub/recovery/{point}/database.sqlite"
    hub.exec(["sh", "-c", f"printf x >> {kept}"])
    with untouched(hub):
        said = reason(hub.playbook("rollback.yml", named, expect_rc=2).stdout)
    assert "database.sqlite has changed since it was written" in said
    hub.exec(["truncate", "--size=-1", kept])

    # The user whose server tests an upgrade may be missing in the restored hub.
    accepted = {**named, "jupyterhub_accept_loss": True, "jupyterhub_verify_user": "newcomer"}
    roll_back(hub, hub.layout.version, **accepted)
    assert old.differences(hub) == []
    assert lost_rows(hub.rows(), old.rows) == []
    assert hub.read(unit) == text
    shown = hub.exec(
        ["systemctl", "show", "--property=Environment,NeedDaemonReload", hub.layout.systemd_unit]
    )
    assert "SPOILT" not in shown.stdout
    assert "NeedDaemonReload=no" in shown.stdout

    again = hub.playbook("rollback.yml", named)
    assert again.changed == 0, again.stdout
    assert "there is nothing to restore" in again.stdout


def test_upgrade_rollback_and_upgrade_again(fresh_hub: Hub) -> None:
    hub = fresh_hub
    cookies = hub.log_in("user-001")
    old = Before.of(hub)
    upgrade(hub)

    unlost = hub.playbook("rollback.yml", check=True).stdout
    assert "No data that matters was written since then." in unlost
    assert "/opt/jupyterhub: JupyterHub 6.1.1" in unlost

    assert hub.api("/users/newcomer", method="POST").status == 201
    new = Before.of(hub)

    checked = hub.playbook("rollback.yml", check=True)
    assert "users: 1 new (newcomer)" in checked.stdout
    assert "jupyterhub_accept_loss: true" in checked.stdout
    assert checked.changed == 0
    said = reason(hub.playbook("rollback.yml", expect_rc=2).stdout)
    assert "users: 1 new (newcomer)" in said
    assert "To roll back anyway, set jupyterhub_accept_loss: true." in said
    assert (new.differences(hub), main_process(hub)) == ([], new.process)

    roll_back(hub, hub.layout.version, jupyterhub_accept_loss=True)
    assert old.differences(hub) == []
    assert hub.knows(cookies)
    before, _first_backup, second = points(hub)
    kept = tuple(f"{path}.before-{second}" for path in hub.layout.environments)
    assert old.left_behind(hub, apart_from=(*BY_ITSELF, *kept)) == []
    assert set(old.left_behind(hub)) >= set(kept)

    again = roll_back(hub, TARGET)
    assert "This undoes a rollback" in again
    assert new.differences(hub) == []
    assert hub.api("/users/newcomer").status == 200

    roll_back(hub, hub.layout.version, jupyterhub_accept_loss=True, jupyterhub_recovery_point=before)
    assert old.differences(hub) == []


def test_rollback_of_a_hub_that_is_too_damaged_to_be_found(fresh_hub: Hub) -> None:
    hub = fresh_hub
    old = Before.of(hub)
    upgrade(hub)
    hub.exec(["rm", "-r", "/opt/jupyterhub/bin"])
    hub.exec(["systemctl", "restart", hub.layout.systemd_unit], check=False)
    said = roll_back(hub, hub.layout.version)
    assert "So no second recovery point is made; replaced files are kept." in said
    assert old.differences(hub) == []
    assert len(points(hub)) == 2, "those of the upgrade, and no other"
