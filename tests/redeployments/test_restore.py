"""What `qhub_restore` does in its pods, done here: the same programs, tars, databases and owners."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Backup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests import REPOSITORY
from tests.hubs.playbook import run_playbook
from tests.redeployments.killed import killed_at
from tests.redeployments.restored_site import RestoredSite

SCRIPTS = REPOSITORY / "roles/qhub_restore/files"
COMPLETE = REPOSITORY / "roles/qhub_backup/files/complete.sh"
MADE = ("home.tar", "jupyterhub.sqlite", "SHA256SUMS")


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    script = (SCRIPTS / name).read_text()
    argv = ["sh", "-c", script, name, *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


class Restored:
    """A site at its restore, whose new volume and database are folders here."""

    def __init__(self, folder: Path) -> None:
        self.site = RestoredSite(folder)
        self.site.forget("restore")
        self.volume, self.list = folder / "new-volume", folder / "home.list"
        self.volume.mkdir()
        self.tar, self.backup = folder / "home.tar", folder / "jupyterhub.sqlite"

    def put(self) -> None:
        done = run("put_data.sh", self.volume, self.tar, "moved")
        assert done.returncode == 0, done.stderr
        assert run("list.sh", self.volume, self.list).returncode == 0

    def compare(self) -> str:
        """The step `restore` with that list."""
        wanted = self.site.wanted(restored_data=str(self.list), restored_database=str(self.backup))
        return redeployment.take(wanted, "restore").message


@pytest.fixture
def restored(tmp_path: Path) -> Restored:
    return Restored(tmp_path)


def test_data_that_is_put_is_what_the_backup_has(restored: Restored) -> None:
    restored.put()
    # Killed once it is compared, and that is not noted.
    assert killed_at(1, restored.compare)
    assert restored.site.evidence("restore") == {}
    assert sorted(path.name for path in restored.volume.iterdir()) == ["home", "shared"]
    assert restored.compare() == "carried out"
    assert restored.site.evidence("restore")["files"] == "3"


def test_data_that_was_cut_off_is_put_again(restored: Restored) -> None:
    # A tar that ends in the middle stands for a pod that is killed there.
    whole = restored.tar.read_bytes()
    with tarfile.open(restored.tar) as archive:
        middle = [member for member in archive if member.isfile()][-1].offset_data + 5
    restored.tar.write_bytes(whole[:middle])
    assert run("put_data.sh", restored.volume, restored.tar, "moved").returncode != 0
    # Its files are not taken for what somebody has written on the new site.
    assert run("look.sh", restored.volume).stdout == ""

    restored.tar.write_bytes(whole)
    restored.put()
    assert restored.compare() == "carried out"
    assert run("look.sh", restored.volume).stdout.splitlines()[-1] == "2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda volume: (volume / "home/ada/analysis.ipynb").unlink(), "1 files are missing: home/ada/an"),
        (
            lambda volume: (volume / "home/ada/analysis.ipynb").write_text("other"),
            "1 files have another content: home/ada/analysis.ipynb",
        ),
        (lambda volume: os.chown(volume / "shared/users", 0, 0), "1 do not belong to 1000:100: shared/users"),
        (lambda volume: (volume / "home/shared").mkdir(), "home/shared is still there"),
    ],
)
def test_a_list_of_other_data_is_refused(restored: Restored, change: object, message: str) -> None:
    restored.put()
    assert callable(change)
    change(restored.volume)
    assert run("list.sh", restored.volume, restored.list).returncode == 0
    with pytest.raises(HubError, match=message):
        restored.compare()


def test_a_list_that_was_cut_off_is_refused(restored: Restored) -> None:
    restored.put()
    restored.list.write_bytes(restored.list.read_bytes()[:-4])
    with pytest.raises(HubError, match="is neither a folder nor a listing .* its end is missing"):
        restored.compare()


def names(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM users ORDER BY name")]


def test_a_database_takes_the_place_of_the_hubs_which_is_kept(restored: Restored, tmp_path: Path) -> None:
    present = tmp_path / "hub/jupyterhub.sqlite"
    present.parent.mkdir()
    with closing(sqlite3.connect(present)) as connection:
        connection.executescript("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('newcomer')")
    os.chown(present, 1000, 1000)
    present.chmod(0o640)
    stale = present.with_name("jupyterhub.sqlite-journal")
    stale.write_text("of another database")

    # The second time is that of a run after one that was cut off.
    for _time in range(2):
        done = run("put_database.sh", present, restored.backup)
        assert done.returncode == 0, done.stderr
        assert names(present) == ["ada", "grace"]
        shutil.copy(present.with_name("jupyterhub.sqlite.before-restore"), tmp_path / "kept.sqlite")
        assert names(tmp_path / "kept.sqlite") == ["newcomer"]
        found = present.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1000, 1000, 0o640)
        assert not stale.exists()


def test_a_database_is_copied_while_its_hub_writes(restored: Restored, tmp_path: Path) -> None:
    script = (REPOSITORY / "roles/qhub_backup/files/copy_database.py").read_text()
    copy = tmp_path / "copy.sqlite"

    def run_it(source: Path) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", script, str(source), str(copy)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    assert "There is no" in run_it(tmp_path / "nowhere.sqlite").stderr
    with closing(sqlite3.connect(restored.backup)) as hub:
        hub.execute("PRAGMA journal_mode = WAL")
        hub.execute("INSERT INTO users (name) VALUES ('linus')")
        hub.commit()
        # Of a change that is not committed nothing is copied.
        hub.execute("INSERT INTO users (name) VALUES ('nobody')")
        done = run_it(restored.backup)
    assert done.stdout.strip() == files.sha256(copy)
    assert names(copy) == ["ada", "grace", "linus"]
    assert copy.stat().st_mode & 0o777 == 0o600


class BackUps:
    """A folder with what `qhub_backup` makes, older ones and newer ones."""

    def __init__(self, restored: Restored, folder: Path) -> None:
        self.restored, self.folder, self.calls = restored, folder / "backups", folder / "bin"
        self.folder.mkdir()
        self.calls.mkdir()
        restored.site.forget("back_up")

    def copy(self, age: str) -> None:
        """Copies out of the pods, as they are before they get their names."""
        tar = self.folder / "home.tar.part"
        with tarfile.open(tar, "w") as archive:
            notes = tarfile.TarInfo(f"home/ada/{age}.txt")
            archive.addfile(notes)
        database = self.folder / "jupyterhub.sqlite.part"
        shutil.copy(self.restored.backup, database)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE users SET name = ? WHERE name = 'grace'", (age,))
            connection.commit()
        lines = [f"{files.sha256(path)}  {path.stem}\n" for path in (tar, database)]
        (self.folder / "SHA256SUMS.part").write_text("".join(lines))

    def complete(self, kill: int = 0) -> int:
        """The role's script, killed before it gives the n-th of them its name."""
        mv = self.calls / "mv"
        mv.write_text(
            '#!/bin/sh\necho >>"$0.calls"\n'
            f'if [ "$(wc -l <"$0.calls")" = {kill} ]; then kill -9 $PPID; exit; fi\n'
            f'exec {shutil.which("mv")} "$@"\n'
        )
        mv.chmod(0o755)
        (self.calls / "mv.calls").unlink(missing_ok=True)
        return subprocess.run(
            ["sh", "-c", COMPLETE.read_text(), "complete", self.folder, *MADE],
            env={**os.environ, "PATH": f"{self.calls}:{os.environ['PATH']}"},
            check=False,
        ).returncode

    def verify(self) -> str:
        """The first step of the redeployment."""
        wanted = self.restored.site.wanted(
            user_data=Backup(str(self.folder / "home.tar")),
            hub_database=Backup(str(self.folder / "jupyterhub.sqlite")),
        )
        return redeployment.take(wanted, "back_up").message


@pytest.mark.parametrize("kill", [1, 2, 3])
def test_a_backup_that_was_cut_off_is_incomplete_and_made_again(
    restored: Restored, tmp_path: Path, kill: int
) -> None:
    made = BackUps(restored, tmp_path)
    made.copy("older")
    with pytest.raises(
        HubError, match=r"home.tar is incomplete: the run of qhub_backup .* was cut off"
    ) as first:
        made.verify()
    assert "Run the playbook qhub_backup to its end" in first.value.hint
    assert made.complete() == 0

    # While the newer ones are copied the older ones are whole.
    made.copy("newer")
    assert made.verify() == "carried out"
    restored.site.forget("back_up")
    assert made.complete(kill) == -9
    with pytest.raises(HubError, match="home.tar is incomplete"):
        made.verify()

    made.copy("newest")
    assert made.complete() == 0
    assert made.verify() == "carried out"
    assert "newest" in names(made.folder / "jupyterhub.sqlite")
    assert sorted(path.name for path in made.folder.iterdir()) == sorted(MADE)


def test_a_claim_without_the_hubs_database_is_refused(restored: Restored, tmp_path: Path) -> None:
    done = run("put_database.sh", tmp_path / "nowhere.sqlite", restored.backup)
    assert "There is no" in done.stderr and "qhub_new_hub_claim" in done.stderr
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_a_cluster_that_does_not_answer_is_named_and_nothing_begun(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: old, "
        "clusters: [{name: old, cluster: {server: 'http://127.0.0.1:1'}}], "
        "contexts: [{name: old, context: {cluster: old, user: old}}], users: [{name: old, user: {}}]}"
    )
    wanted = {"qhub_backups": str(tmp_path / "backups"), "qhub_kubeconfig": str(kubeconfig)}
    done = run_playbook("qhub_backup.yml", tmp_path, wanted)
    assert done.returncode != 0
    told = " ".join(done.stdout.split())
    assert re.search(r"The cluster does not answer: .*Connection refused", told), told
    assert "Look at the kubeconfig and the context of the site: qhub_kubeconfig, qhub_context." in told
    assert not (tmp_path / "backups").exists()
