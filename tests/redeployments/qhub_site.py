"""A site of QHub 0.3.14 with users, comments and secrets, its repository, and its backups."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import programs, redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Backup, Site

from tests.hubs import real_hub
from tests.pythons import pythons

OLD, NEW = "0.3.14", "0.4.5"
DOMAIN, OLD_DOMAIN = "qhub.example.org", "qhub-old.example.org"
#: The steps that `qhub_redeploy` takes.
ORDER = (
    "back_up",
    "install",
    "rename_old_site",
    "upgrade_config",
    "rename_project",
    "deploy",
    "add_callback",
    "commit",
    "restore",
)
#: Values that no output, record or log may have.
SECRETS = ("planted-hash-ada", "planted-hash-grace", "planted-client-secret", "planted-root")
USERS = """\
    ada:  # works here since 2019
      uid: 1001
      primary_group: admin
      secondary_groups:
      - users
      password: planted-hash-ada
    grace:
      uid: 1002
      primary_group: users
      password: planted-hash-grace
    "linus":
      uid: 1003
      primary_group: scientists
"""
GROUPS = """\
    scientists:
      gid: 102
"""


@lru_cache(maxsize=None)
def installed() -> Path:
    """A folder with the venvs of both versions, as the collection makes them; made once and kept."""
    names = "".join(str(programs.PINS[version]) for version in (OLD, NEW))
    kept = real_hub.CACHE / f"qhub-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
    kept.mkdir(parents=True, exist_ok=True)
    site = Site(folder="", python=pythons()["3.9"])
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for version in (OLD, NEW):
            if not programs.is_installed(site, kept, version):
                programs.install(site, kept, version)
    return kept


@lru_cache(maxsize=None)
def initialised() -> str:
    """What `qhub init` of 0.3.14 writes, with comments, users and a group more."""
    folder = installed() / "initialised"
    if not (folder / "qhub-config.yaml").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        options = f"--project oldproj --domain {DOMAIN} --ci-provider github-actions --auth-provider password"
        repository = "--repository github.com/example/site --disable-prompt"
        output = programs.run(
            [str(programs.program(installed(), OLD)), "init", "aws", *options.split(), *repository.split()],
            folder,
        )
        assert output.status == 0, output.text
    text = (folder / "qhub-config.yaml").read_text()
    text = text.replace(f"domain: {DOMAIN}", f"domain: {DOMAIN}  # printed on every poster")
    text = text.replace("  groups:\n", f"{USERS}  groups:\n{GROUPS}", 1)
    return f"# Our site. Ask operations before a change.\n\n{text}"


class RealSite:
    """The site in a folder of a test."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder / "site"
        self.remote = folder / "remote.git"
        self.state = folder / "state"
        self.kept = self.state / "qhub" / DOMAIN
        self.terraform = folder / "tmp/terraform/1.0.5"
        self.terraform.mkdir(parents=True)  # And the test's folder.
        shutil.copy(Path(__file__).with_name("terraform"), self.terraform)
        self.environment = {
            "TMPDIR": str(folder / "tmp"),
            "AWS_ACCESS_KEY_ID": "planted-key",
            "AWS_SECRET_ACCESS_KEY": "planted-secret",
            "AWS_DEFAULT_REGION": "us-west-2",
        }
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        git(folder, "clone", "--quiet", str(self.remote), str(self.folder))
        (self.folder / "qhub-config.yaml").write_text(config or initialised())
        git(self.folder, "checkout", "--quiet", "-b", "main")
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "-m", "The site")
        git(self.folder, "push", "--quiet", "origin", "main")
        self.data, self.database = folder / "home.tar", folder / "jupyterhub.sqlite"
        backed_up(self.data, self.database)
        self.wanted = Site(
            folder=str(self.folder),
            version=NEW,
            old_domain=OLD_DOMAIN,
            project="newproj",
            python=pythons()["3.9"],
            kubernetes_version="1.22",
            user_data=Backup(str(self.data), sha256=hashlib.sha256(self.data.read_bytes()).hexdigest()),
            hub_database=Backup(str(self.database)),
            deploy_options=("--disable-checks",),
            # Without it 0.3.14 waits for half a minute after an import that was there at once.
            old_deploy_options=("--skip-remote-state-provision",),
            push=True,
            restored_data=str(folder / "restored"),
            restored_database=str(folder / "restored.sqlite"),
            state_folder=str(self.state),
        )
        for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
            git(self.folder, "config", key, value)

    @property
    def config(self) -> str:
        return (self.folder / "qhub-config.yaml").read_text()

    @config.setter
    def config(self, text: str) -> None:
        (self.folder / "qhub-config.yaml").write_text(text)

    def have_programs(self) -> None:
        """Both versions are there as if they had been installed for this site."""
        self.kept.mkdir(parents=True, exist_ok=True)
        for version in (OLD, NEW):
            (self.kept / f"qhub-{version}").symlink_to(installed() / f"qhub-{version}")

    def take(self, *steps: str, **changes: object) -> redeployment.Taken:
        """Take steps; returns what became of the last."""
        taken = redeployment.Taken("", False, "")
        for step in steps:
            taken = redeployment.take(replace(self.wanted, **changes), step)  # type: ignore[arg-type]
        return taken

    def restore(self) -> None:
        """What the guide has a person do with the backups and the new site."""
        volume = Path(self.wanted.restored_data)
        with tarfile.open(self.data) as archive:
            archive.extractall(volume, filter="data")
        (volume / "home/shared").rename(volume / "shared")
        for path in volume.rglob("*"):
            if path.parent != volume:
                os.chown(path, 1000, 100)
        shutil.copy(self.database, self.wanted.restored_database)

    def inventory(self) -> dict[str, Any]:
        """The variables that an administrator has for it."""
        wanted = self.wanted
        return {
            "qhub_folder": wanted.folder,
            "qhub_version": wanted.version,
            "qhub_old_domain": wanted.old_domain,
            "qhub_project": wanted.project,
            "qhub_python": wanted.python,
            "qhub_kubernetes_version": wanted.kubernetes_version,
            "qhub_user_data_backup": {"path": str(self.data)},
            "qhub_hub_database_backup": {"path": str(self.database)},
            "qhub_deploy_options": list(wanted.deploy_options),
            "qhub_old_deploy_options": list(wanted.old_deploy_options),
            "qhub_push": wanted.push,
            "qhub_restored_data": wanted.restored_data,
            "qhub_restored_database": wanted.restored_database,
            "qhub_state_folder": wanted.state_folder,
        }

    def state_of(self, step: str) -> str:
        [found] = [each.state for each in redeployment.plan(self.wanted).steps if each.name == step]
        return found

    def calls(self) -> list[str]:
        """The actions of Terraform, with their folders."""
        path = self.terraform / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def content(self) -> dict[str, str]:
        """All files of the folder but git's, by their paths."""
        return {
            str(path.relative_to(self.folder)): path.read_text(errors="replace")
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(self.folder).parts
        }


def backed_up(data: Path, database: Path) -> None:
    """A tar of the shared volume as 0.3.14 has it, and a hub's database."""
    homes = data.with_name("volume")
    for name in ("home/ada/analysis.ipynb", "home/grace/notes.txt", "home/shared/users/all.csv"):
        (homes / name).parent.mkdir(parents=True, exist_ok=True)
        (homes / name).write_text(f"{name}\n")
    with tarfile.open(data, "w") as archive:
        archive.add(homes, arcname=".")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE dashboards (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO users (name) VALUES (?)", [("ada",), ("grace",)])
        connection.execute("INSERT INTO dashboards (name) VALUES ('rainfall')")
        connection.commit()


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
