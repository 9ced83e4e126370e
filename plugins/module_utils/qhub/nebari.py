"""`nebari upgrade`, on a copy and not believed: its exit status is 0 also where it has stopped half-way."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..environments.interpreter import version_of
from ..errors import HubError
from ..releases.versions import parse_release
from ..system import files, state
from . import config as configs
from . import keycloak_dump, programs
from .config import Config
from .record import locked
from .secrets import redact

NAME = "nebari-config.yaml"
#: What an upgrade to 2026.3.1 writes beside the config, and the realm that it is of.
KEYCLOAK_BACKUP, REALM = "keycloak-backup.sql", "nebari"
#: Pythons that it is installed with, the first that is there.
PYTHONS = ("python3.12", "python3.11", "python3.10")
#: What an upgrade must leave as it was.
KEPT = ("domain", "project_name", "provider", "namespace")


@dataclass(frozen=True)
class Wanted:
    """What the inventory says; the documentation of the module says what each field means."""

    folder: str
    version: str
    python: str = ""
    requirements: str = ""
    answers: tuple[str, ...] = ()
    attempt_fixes: str = ""
    kubeconfig: str = ""
    state_folder: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder) / NAME


@dataclass(frozen=True)
class Upgraded:
    """What became of it, and the configs without their secrets."""

    changed: bool
    message: str
    evidence: dict[str, str]
    before: str = ""
    after: str = ""


def upgrade(wanted: Wanted, check: bool = False) -> Upgraded:
    """Upgrade the config of a site. Raises HubError where it cannot be, and then the site's is unchanged."""
    present = read(wanted.path)
    old, version = present.get("nebari_version"), str(parse_release(wanted.version))
    if not old:
        raise HubError(
            f"{wanted.path} has no nebari_version.",
            "For a config of QHub's: bring that to its last version, rename its key qhub_version to "
            "nebari_version, and run again.",
        )
    if parse_release(old) > parse_release(version):
        raise HubError(
            f"The site has Nebari {old}, and {version} is wanted.",
            "`nebari upgrade` goes forward only. Name a newer version: nebari_version.",
        )
    if parse_release(old) == parse_release(version):
        return Upgraded(False, f"the config is of Nebari {version}", {})
    if wanted.attempt_fixes and (wanted.attempt_fixes != present.get("domain") or not wanted.kubeconfig):
        raise HubError(
            "--attempt-fixes changes and deletes objects in a cluster, and the one of "
            f"{present.get('domain')} is not named.",
            f"Name both, or leave it out: nebari_attempt_fixes: {present.get('domain')}, and its kubeconfig: "
            "nebari_kubeconfig.",
        )
    kept = state.base_folder(wanted.state_folder) / "nebari" / present.get("domain")
    if check:
        return Upgraded(True, f"would be upgraded from Nebari {old} to {version}", {})
    with locked(kept):
        have_program(wanted, kept, version)
        return _upgrade(wanted, kept, present, version)


def read(path: Path) -> Config:
    """The config of a site. Raises HubError where it cannot be read, or is not Nebari's."""
    try:
        config = configs.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise HubError(
            f"Cannot read {path}: {error}.", "Name the folder of the site's config: nebari_folder."
        ) from (error)
    if not config.get("domain") or not config.get("project_name"):
        raise HubError(
            f"{path} is not a config of Nebari: it has no domain, or no project_name.",
            "Name the folder with the config that the site was deployed with: nebari_folder.",
        )
    return config


def have_program(wanted: Wanted, kept: Path, version: str) -> None:
    """The wanted version in a venv of its own."""
    venv = kept / f"nebari-{version}"
    if (venv / "complete").exists():
        return
    python = wanted.python or next(filter(None, map(shutil.which, PYTHONS)), "")
    if not python or not version_of(python):
        raise HubError(
            f"This host has no Python for Nebari{f' at {python}' if python else ''}.",
            f"Install one of {', '.join(PYTHONS)}, and name it: nebari_python.",
        )
    wanted_packages = kept / f"nebari-{version}.txt"
    named = wanted.requirements
    files.write(wanted_packages, Path(named).read_bytes() if named else f"nebari=={version}\n".encode())
    shutil.rmtree(venv, ignore_errors=True)
    failed = programs.make_venv(venv, python, wanted_packages)
    started = failed or programs.run([str(venv / "bin/nebari"), "--version"], kept)
    if failed or started.status or version not in started.text:
        raise HubError(
            f"Nebari {version} cannot be installed, or does not start:\n{started.end}",
            "Give this host a way to the package index, or pin its packages in a file: nebari_requirements.",
        )
    files.write(venv / "complete", b"")


def _upgrade(wanted: Wanted, kept: Path, present: Config, version: str) -> Upgraded:
    old = present.get("nebari_version")
    folder = kept / "upgrade"
    _put_aside(folder / KEYCLOAK_BACKUP, kept)
    shutil.rmtree(folder, ignore_errors=True)
    state.make_private(folder)
    content = wanted.path.read_bytes()
    files.write(folder / NAME, content)
    # Where it may not change a cluster it does not find one either.
    cluster = {"KUBECONFIG": wanted.kubeconfig if wanted.attempt_fixes else os.devnull}
    output = programs.run(
        [
            *(str(kept / f"nebari-{version}/bin/nebari"), "upgrade", "-c", NAME),
            *(["--attempt-fixes"] if wanted.attempt_fixes else []),
        ],
        folder,
        cloud=bool(wanted.attempt_fixes),
        answers="".join(f"{answer}\n" for answer in wanted.answers),
        variables=cluster,
    )
    upgraded = read(folder / NAME)
    log = programs.keep_output(kept, f"upgrade-{version}", redact(output.text, present, upgraded))
    if upgraded.get("nebari_version") != version:
        raise HubError(
            f"`nebari upgrade` has ended with status {output.status}, and the config is still of Nebari "
            f"{upgraded.get('nebari_version')}:\n{redact(output.end, present, upgraded)}",
            f"The site's config is unchanged. Do what it says, and answer its questions in their order, "
            f"{len(wanted.answers)} of which are answered: nebari_answers. All of the output is in {log}.",
        )
    problems = [
        f"its {key} is {upgraded.get(key) or 'gone'}, and was {present.get(key)}"
        for key in KEPT
        if upgraded.get(key) != present.get(key)
    ]
    if not any(path.read_bytes() == content for path in folder.glob(f"{NAME}*.backup*")):
        problems.append("it has kept no copy that is byte for byte the config it was given")
    if output.status:
        problems.append(f"it has ended with status {output.status}")
    if problems:
        raise HubError(
            f"What `nebari upgrade` has made is not what it should be: {'; '.join(problems)}.",
            f"The site's config is unchanged. Look at {log}, and report this with the version of Nebari.",
        )
    backup = _keep_keycloak_backup(folder, kept, old)
    copy = wanted.path.with_name(f"{NAME}.before-{version}")
    files.write(copy, content)
    files.write(wanted.path, (folder / NAME).read_bytes(), mode=wanted.path.stat().st_mode & 0o777)
    return Upgraded(
        True,
        f"upgraded from Nebari {old} to {version}",
        {"from": old, "to": version, "backup": str(copy), "output": log, **backup},
        redact(present.text, present),
        redact(upgraded.text, upgraded),
    )


def _put_aside(dump: Path, kept: Path) -> None:
    """Keep the dump of a run that was cut off: it may have changed the cluster, and made the only one."""
    if dump.exists():
        number = len(list(kept.glob("keycloak-backup-of-a-run-*.sql"))) + 1
        dump.chmod(0o600)
        files.rename(dump, kept / f"keycloak-backup-of-a-run-{number}.sql")


def _keep_keycloak_backup(folder: Path, kept: Path, old: str) -> dict[str, str]:
    """Keeps the dump of Keycloak's database that an upgrade has made, once its content was read.

    The upgrade itself only sees that the file is not empty. Raises HubError where it has no user.
    """
    made = folder / KEYCLOAK_BACKUP
    if not made.exists():
        return {}
    content = keycloak_dump.read(made, REALM)
    path = kept / f"{made.stem}-{old}{made.suffix}"
    _put_aside(path, kept)
    made.chmod(0o600)
    files.rename(made, path)
    counts = {"keycloak_users": str(len(content.users)), "keycloak_groups": str(content.groups)}
    return {"keycloak_backup": str(path), **counts}
