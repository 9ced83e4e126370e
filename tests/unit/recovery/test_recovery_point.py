"""Recovery points of a real database and real files; whole hubs are restored in the molecule scenarios."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tarfile
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.sqlite_database import (
    SqliteDatabase,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    kept_database,
    recovery_point,
    reserved_space,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import manifest as manifests

from tests.healthy_hub import at as hub_at
from tests.healthy_hub import database_file
from tests.plans import plan_to

OLD, NEW = "0eee8c825d24", "f460b0348206"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """A hub's files and database below a temporary folder."""
    home = tmp_path / "hub"
    home.mkdir()
    config, secret, database = home / "jupyterhub_config.py", home / "cookie_secret", home / "hub.sqlite"
    config.write_text("c.JupyterHub.port = 8000\n")
    secret.write_text("0123\n")
    secret.chmod(0o600)
    with sqlite3.connect(database) as connection:
        connection.executescript(
            f"create table alembic_version (version_num text); insert into alembic_version values ('{OLD}');"
            "create table users (name text); insert into users values ('ada'), ('grace');"
        )
    venv.create(home / "env")
    return hub_at(home, home / "env", secrets__files=[str(secret)])


@pytest.fixture
def point(deployment: Deployment, tmp_path: Path) -> Path:
    return recovery_point.create(deployment, None, str(tmp_path / "state"), [], lock_timeout=1)


def differing(point: Path) -> list[str]:
    return [each.path for each in recovery_point.differences(point, manifests.read(point))]


def write(database: str | Path, statement: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(statement)
    connection.close()


def users(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        return [name for (name,) in connection.execute("select name from users order by name")]
    finally:
        connection.close()


def test_it_holds_what_is_needed_and_only_its_owner_can_read_it(point: Path, deployment: Deployment) -> None:
    manifest = recovery_point.verify(point)
    assert (manifest.database.revision, manifest.database.rows["users"]) == (OLD, 2)
    assert users(point / "database.sqlite") == ["ada", "grace"]
    kept = {entry.path: (point / entry.file).read_text() for entry in manifest.files}
    assert kept[deployment.config.files[0]] == "c.JupyterHub.port = 8000\n"
    assert kept[deployment.secrets.files[0]] == "0123\n"
    assert point.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in point.rglob("*")} == {0}


@pytest.mark.parametrize("damage", ["database.sqlite", "environments/0.txt", "files"])
def test_one_flipped_bit_is_found(point: Path, damage: str) -> None:
    victim = point / damage
    if victim.is_dir():
        victim = next(path for path in victim.rglob("*") if path.is_file())
    content = bytearray(victim.read_bytes() or b"\0")
    content[-1] ^= 1
    victim.write_bytes(content)
    with pytest.raises(HubError, match=f"{victim.relative_to(point)} has changed since it was written"):
        recovery_point.verify(point)


def test_a_folder_without_manifest_is_no_recovery_point(point: Path) -> None:
    (point / "manifest.json").unlink()
    assert manifests.listed(point.parent) == []
    with pytest.raises(HubError, match="It was never completed"):
        recovery_point.verify(point)


def test_a_format_of_the_future_is_refused(point: Path) -> None:
    manifest = json.loads((point / "manifest.json").read_text())
    (point / "manifest.json").write_text(json.dumps({**manifest, "format": 3}))
    with pytest.raises(HubError, match="has format 3, this collection knows 2"):
        manifests.read(point)


def test_a_manifest_that_says_something_else_is_refused(point: Path) -> None:
    written = (point / "manifest.json").read_text()
    (point / "manifest.json").write_text(written.replace("jupyterhub_config.py", "jupyterhub_config.pz"))
    with pytest.raises(HubError, match="The manifest of .* has changed since it was written"):
        recovery_point.verify(point)


def test_nothing_is_left_of_one_that_could_not_be_made(deployment: Deployment, tmp_path: Path) -> None:
    database_file(deployment).write_bytes(b"this is not a database" * 100)
    with pytest.raises(HubError):
        recovery_point.create(deployment, None, str(tmp_path / "state"), [], lock_timeout=1)
    assert list((tmp_path / "state" / "hub" / "recovery").iterdir()) == []


def test_a_database_that_was_not_sealed_is_newer_than_its_copy_and_is_kept(
    point: Path, deployment: Deployment
) -> None:
    manifests.write(point, replace(manifests.read(point), purpose="upgrade"))
    database = database_file(deployment)
    write(database, "insert into users values ('lovelace')")
    assert differing(point) == []
    recovery_point.make_equal(point, manifests.read(point), point / "replaced")
    assert users(Path(database)) == ["ada", "grace", "lovelace"]


def test_a_sealed_database_is_restored_with_its_last_rows(point: Path, deployment: Deployment) -> None:
    database = database_file(deployment)
    write(database, "insert into users values ('lovelace')")
    recovery_point.seal(point, lock_timeout=1)
    assert differing(point) == []

    write(database, f"update alembic_version set version_num = '{NEW}'")
    write(database, "delete from users")
    Path(f"{database}-wal").write_bytes(b"left behind by the new hub")
    manifest = recovery_point.verify(point)
    assert differing(point) == [str(database)]
    recovery_point.make_equal(point, manifest, point / "replaced")
    assert users(Path(database)) == ["ada", "grace", "lovelace"]
    assert not Path(f"{database}-wal").exists()
    assert differing(point) == [], "a second restore has nothing to do"
    replaced = {path.name for path in (point / "replaced").rglob("*") if path.is_file()}
    assert replaced >= {"hub.sqlite", "hub.sqlite-wal"}


@pytest.mark.parametrize("fault", ["changed", "missing", "readable for all"])
def test_a_file_that_differs_is_restored(point: Path, deployment: Deployment, fault: str) -> None:
    secret = Path(deployment.secrets.files[0])
    if fault == "changed":
        secret.write_text("another secret")
    elif fault == "missing":
        secret.unlink()
    else:
        secret.chmod(0o644)
    manifest = recovery_point.verify(point)
    assert differing(point) == [str(secret)]
    recovery_point.make_equal(point, manifest, point / "replaced")
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("0123\n", 0o600)
    assert differing(point) == []


def test_the_disk_space_for_a_restore_is_reserved_once_and_freed_by_it(
    point: Path, deployment: Deployment
) -> None:
    database = database_file(deployment)
    reserve = database.with_name("hub.sqlite.hubops-reserve")
    for _again in range(2):
        recovery_point.reserve(point)
        taken = (reserve / "bytes").stat()
        assert taken.st_size == taken.st_blocks * 512 == database.stat().st_size + reserved_space.SPARE_BYTES
        assert len(list(reserve.iterdir())) > reserved_space.SPARE_FILES
    recovery_point.seal(point, lock_timeout=1)
    write(str(database), "delete from users")
    recovery_point.make_equal(point, manifests.read(point), point / "replaced")
    assert users(database) == ["ada", "grace"]
    assert not reserve.exists()
    recovery_point.release_reserve(point)
    assert not (point.parents[1] / "reserve").exists()


def test_what_was_laid_out_for_sealing_goes_when_nothing_is_sealed(point: Path) -> None:
    recovery_point.reserve(point)
    assert len(list(point.glob("*.sqlite"))) == 2
    recovery_point.release_reserve(point)
    assert [path.name for path in point.glob("*.sqlite")] == ["database.sqlite"]
    recovery_point.verify(point)


def test_rows_that_are_still_in_the_write_ahead_log_are_sealed(point: Path, deployment: Deployment) -> None:
    recovery_point.reserve(point)
    with contextlib.closing(sqlite3.connect(database_file(deployment))) as hub:
        hub.execute("PRAGMA journal_mode = WAL")
        hub.execute("insert into users values ('hopper')")
        hub.commit()
        recovery_point.seal(point, lock_timeout=1)
        assert differing(point) == []
    assert users(point / "sealed.sqlite") == ["ada", "grace", "hopper"]


def test_missing_disk_space_is_reported_and_nothing_is_left(point: Path) -> None:
    manifest = manifests.read(point)
    database, backup = kept_database.of_manifest(point, manifest), replace(manifest.database, bytes=1 << 60)
    with pytest.raises(HubError, match="has no space for a restore"):
        reserved_space.reserve(point.parents[1], database, backup)
    assert not Path(f"{database.name}{reserved_space.SUFFIX}").exists()
    assert not (point.parents[1] / "reserve").exists()


def test_homes_are_packed_when_asked_for(deployment: Deployment, tmp_path: Path) -> None:
    home = tmp_path / "home" / "ada"
    home.mkdir(parents=True)
    (home / "notebook.ipynb").write_text("{}")
    point = recovery_point.create(deployment, None, str(tmp_path / "state"), [str(home)], lock_timeout=1)
    (kept,) = recovery_point.verify(point).homes
    with tarfile.open(point / kept.file) as archive:
        notebook = archive.extractfile("ada/notebook.ipynb")
        assert notebook is not None
        assert notebook.read() == b"{}"
    assert (point / kept.file).stat().st_mode & 0o777 == 0o600


def test_a_copy_that_was_never_sealed_replaces_a_database_of_another_revision(
    point: Path, deployment: Deployment
) -> None:
    """The upgrade it was made for was refused; a later one has migrated the database."""
    database = database_file(deployment)
    recorded = replace(manifests.read(point), purpose="upgrade")
    manifests.write(point, recorded)
    assert differing(point) == []
    write(database, f"update alembic_version set version_num = '{NEW}'")
    assert differing(point) == [str(database)]
    Path(database).unlink()
    assert differing(point) == [str(database)]


def test_the_copy_of_a_plain_backup_is_restored(point: Path, deployment: Deployment) -> None:
    database = database_file(deployment)
    write(database, "insert into users values ('lovelace')")
    assert differing(point) == [str(database)]


def test_rows_written_after_a_restore_are_not_taken_for_a_failed_attempt_s(
    point: Path, deployment: Deployment, tmp_path: Path
) -> None:
    database = database_file(deployment)
    recovery_point.seal(point, lock_timeout=1)
    write(database, "delete from users")
    recovery_point.make_equal(point, manifests.read(point), point / "replaced")
    kept_database.remember_restore(point)
    write(database, "insert into users values ('lovelace')")
    assert differing(point) == []
    write(database, f"update alembic_version set version_num = '{NEW}'")
    assert differing(point) == [str(database)], "it was migrated since"
    write(database, f"update alembic_version set version_num = '{OLD}'")
    later = recovery_point.create(deployment, plan_to("9"), str(tmp_path / "state"), [], lock_timeout=1)
    recovery_point.seal(later, lock_timeout=1)
    assert differing(point) == [str(database)], "another change has begun since"


def test_a_point_is_whole_at_any_moment_of_its_sealing(
    point: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    write(database_file(deployment), "insert into users values ('lovelace')")
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recovery_point.seal(point, lock_timeout=1)
    recovery_point.verify(point)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteDatabase, "remove_other_copies", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recovery_point.seal(point, lock_timeout=1)
    sealed = recovery_point.verify(point).database
    assert users(point / sealed.file) == ["ada", "grace", "lovelace"]
    recovery_point.seal(point, lock_timeout=1)
    recovery_point.verify(point)
    assert len(list(point.glob("*.sqlite"))) == 1


def test_a_change_in_a_kept_environment_is_found(point: Path, deployment: Deployment) -> None:
    environment = Path(deployment.hub_environment.path)
    bytecode = environment / "lib" / "__pycache__"
    bytecode.mkdir()
    (bytecode / "module.pyc").write_bytes(b"what a program writes while it runs")
    recovery_point.verify(point, environments=True)
    for change in ("one more file", "another mode", "another link"):
        copied = shutil.copytree(environment, environment.with_name("kept"), symlinks=True)
        if change == "one more file":
            (environment / "lib" / "sitecustomize.py").write_text("")
        elif change == "another mode":
            (environment / "pyvenv.cfg").chmod(0o600)
        else:
            (environment / "bin" / "python").unlink()
            (environment / "bin" / "python").symlink_to("/bin/true")
        recovery_point.verify(point)
        with pytest.raises(HubError, match=f"the environment {environment} has changed since"):
            recovery_point.verify(point, environments=True)
        shutil.rmtree(environment)
        Path(copied).rename(environment)
    recovery_point.verify(point, environments=True)


def test_a_link_to_a_kept_file_stays_a_link(deployment: Deployment, tmp_path: Path) -> None:
    config = Path(deployment.config.files[0])
    real = tmp_path / "real_config.py"
    config.rename(real)
    config.symlink_to(real)
    point = recovery_point.create(deployment, None, str(tmp_path / "state"), [], lock_timeout=1)
    real.write_text("c.JupyterHub.port = 9000\n")
    recovery_point.make_equal(point, manifests.read(point), point / "replaced")
    assert config.is_symlink()
    assert real.read_text() == "c.JupyterHub.port = 8000\n"
