"""What a Nebari has, for whatever comes after it: users, groups, homes, environments. Only read."""

from __future__ import annotations

import json
import tarfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..system import files
from . import keycloak_dump, nebari
from .backups import MAKE_IT
from .config import Config
from .keycloak import Keycloak

FORMAT = 1
COUNTED: tuple[str, ...] = ("users", "groups", "homes", "environments")
#: Folders of the shared volume whose folders are those of users and of groups.
HOMES = ("home", "shared")


@dataclass(frozen=True)
class Wanted:
    """What the inventory says; the documentation of the module says what each field means."""

    folder: str
    path: str
    keycloak_password: str = field(repr=False)
    keycloak_url: str = ""
    keycloak_user: str = "root"
    keycloak_realm: str = "nebari"
    validate_certs: bool = True
    keycloak_backup: str = ""
    user_data: str = ""


@dataclass(frozen=True)
class Exported:
    """What became of it."""

    changed: bool
    message: str
    evidence: dict[str, str]


def export(wanted: Wanted, check: bool = False) -> Exported:
    """Write what there is into a file. Raises HubError, and writes none, where something cannot be read."""
    config = nebari.read(Path(wanted.folder) / nebari.NAME)
    domain = config.get("domain")
    url = wanted.keycloak_url or f"https://{domain}/auth"
    keycloak = Keycloak(
        *(url, wanted.keycloak_user, wanted.keycloak_password, wanted.keycloak_realm, wanted.validate_certs)
    )
    people, groups = keycloak.people(), keycloak.groups()
    found: dict[str, Any] = {
        "format": FORMAT,
        "domain": domain,
        "nebari_version": config.get("nebari_version"),
        "realm": wanted.keycloak_realm,
        "users": people,
        "groups": groups,
        "environments": environments(config),
    }
    if wanted.user_data:
        found["homes"] = homes(Path(wanted.user_data))
    evidence = {name: str(len(found[name])) for name in COUNTED if name in found}
    if wanted.keycloak_backup:
        names = frozenset(str(person["username"]) for person in people)
        evidence["keycloak_backup_users"] = _compared(wanted, names)
    content = json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n"
    path = Path(wanted.path)
    changed = not path.is_file() or path.read_bytes() != content
    if changed and not check:
        files.write(path, content)
    return Exported(changed, f"{evidence['users']} users and {evidence['groups']} groups", evidence)


def _compared(wanted: Wanted, names: frozenset[str]) -> str:
    """How many users a backup of Keycloak has. Raises HubError where one of those is missing."""
    content = keycloak_dump.read(Path(wanted.keycloak_backup), wanted.keycloak_realm)
    missing = sorted(names - content.users)
    if missing:
        raise HubError(
            f"The backup of Keycloak {wanted.keycloak_backup} has {len(content.users)} users, and "
            f"{len(missing)} are missing: {', '.join(missing[:5])}.",
            keycloak_dump.MAKE_IT,
        )
    return str(len(content.users))


def environments(config: Config) -> dict[str, str]:
    """The environments of the config, each as the YAML that it has; those in conda-store are others."""
    lines = config.text.splitlines()
    starts = {
        path[-1]: entry.line
        for path, entry in config.entries.items()
        if len(path) == 2 and path[0] == "environments"
    }
    section = config.entries.get(("environments",))
    outer = [entry.line for path, entry in config.entries.items() if len(path) == 1]
    if section is None:
        return {}
    end = min((line for line in outer if line > section.line), default=len(lines))
    found = {}
    for name, start in starts.items():
        stop = min((line for line in starts.values() if line > start), default=end)
        found[name] = textwrap.dedent("\n".join(lines[start + 1 : stop])).strip() + "\n"
    return found


def homes(path: Path) -> dict[str, dict[str, int]]:
    """The folders of users and groups in a tar of the shared volume: how many files, how many bytes."""
    found: dict[str, dict[str, int]] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if len(parts) < 2 or parts[0] not in HOMES or (len(parts) == 2 and not member.isdir()):
                    continue
                home = found.setdefault("/".join(parts[:2]), {"files": 0, "bytes": 0})
                if member.isfile():
                    home["files"] += 1
                    home["bytes"] += member.size
    except (tarfile.TarError, OSError, EOFError) as error:
        raise HubError(f"The backup {path} is no whole tar: {error}.", MAKE_IT) from error
    return dict(sorted(found.items()))
