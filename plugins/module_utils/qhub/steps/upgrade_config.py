"""`qhub upgrade`, on a copy: the site's folder gets what it has made only when that is right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ...errors import HubError
from ...releases.versions import parse_release
from ...system import files, state
from .. import config as configs
from .. import programs
from ..config import Config
from ..record import Redeployment
from ..secrets import redact
from ..versions import FIRST_WITH_SECTIONS, SECTIONS_LEFT_OUT
from .base import Result, Step, Work, checksum

IMPORT = "qhub-users-import.json"


class UpgradeConfig(Step):
    """Upgrades the config, and keeps the output. `qhub` renames the config before it writes the new one."""

    name = "upgrade_config"
    title = "Upgrade the config"
    only_redeployed = False

    def carry_out(self, work: Work) -> Result:
        record = work.record
        made = work.kept / "upgraded"
        present = work.config_path.read_bytes()
        if not made.exists() or present not in (_original(made), _config(made)):
            if work.config.version != record.from_version:
                raise HubError(
                    f"{work.config_path} is of QHub {work.config.version}, and the redeployment began with "
                    f"{record.from_version}.",
                    "Restore the config that the old site was deployed with (git has it), and run again.",
                )
            _upgrade(work, made, present)
        original, upgraded = configs.parse(_original(made).decode()), configs.parse(_config(made).decode())
        users = checked(original, upgraded, made, record)
        for name in (f"{configs.NAME}.before-{record.to_version}", IMPORT):
            if (made / name).exists():
                files.write(work.site.path / name, (made / name).read_bytes())
        work.write_config(upgraded)
        return Result(
            {
                "original_sha256": checksum(_original(made)),
                "backup": str(work.site.path / f"{configs.NAME}.before-{record.to_version}"),
                "users": str(users),
                "import": str(work.site.path / IMPORT) if (made / IMPORT).exists() else "",
                "import_sha256": files.sha256(made / IMPORT) if (made / IMPORT).exists() else "",
                "output": str(work.kept / f"{self.name}.log"),
            },
            redact(original.text, original),
            redact(upgraded.text, upgraded),
        )

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        version = work.config.version
        return "" if version == work.record.to_version else f"the config is of QHub {version}"


def original_config(made: Path) -> Config:
    """The config as it was before the upgrade. Raises HubError where it is not kept."""
    kept = list(made.glob(f"{configs.NAME}.before-*"))
    if len(kept) != 1:
        raise HubError(
            f"{made} does not have the config from before the upgrade.",
            "Restore the config that the old site was deployed with (git has it) into the site's folder.",
        )
    return configs.parse(kept[0].read_text(encoding="utf-8"))


def _original(made: Path) -> bytes:
    [path] = made.glob(f"{configs.NAME}.before-*")
    return path.read_bytes()


def _config(made: Path) -> bytes:
    return (made / configs.NAME).read_bytes()


def _upgrade(work: Work, made: Path, present: bytes) -> None:
    """Run it in a folder of its own, which gets its name when all of it is there."""
    record = work.record
    part = made.with_name("upgraded.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(made, ignore_errors=True)
    state.make_private(part)
    files.write(part / configs.NAME, present)
    output = work.qhub(record.to_version, "upgrade", "-c", configs.NAME, folder=part)
    upgraded = configs.read(part) if (part / configs.NAME).exists() else configs.parse("")
    before = configs.parse(present.decode())
    programs.keep_output(work.kept, UpgradeConfig.name, redact(output.text, before, upgraded))
    if output.status:
        raise HubError(
            f"`qhub upgrade` of {record.to_version} has ended with status {output.status}:\n"
            f"{redact(output.end, before, upgraded)}",
            "The site's folder is unchanged. Change what it names in the config, commit that, and run again.",
        )
    kept = [path for path in part.glob(f"{configs.NAME}*.backup*") if path.read_bytes() == present]
    if not kept:
        raise HubError(
            "`qhub upgrade` has kept no copy that is byte for byte the config it was given.",
            "The site's folder is unchanged. Report this with the version of QHub.",
        )
    for section in SECTIONS_LEFT_OUT:
        if parse_release(record.to_version) >= parse_release(FIRST_WITH_SECTIONS) and not upgraded.has(
            section
        ):
            upgraded = upgraded.with_section(section, enabled="false")
    files.write(part / configs.NAME, upgraded.text.encode())
    files.write(part / f"{configs.NAME}.before-{record.to_version}", kept[0].read_bytes())
    part.replace(made)
    files.sync(made.parent)


def checked(original: Config, upgraded: Config, made: Path, record: Redeployment) -> int:
    """The number of users to import. Raises HubError where the upgrade has not done what it should have."""
    problems = []
    if upgraded.version != record.to_version:
        problems.append(f"it has version {upgraded.version or 'none'}, not {record.to_version}")
    for key in ("domain", "project_name", "provider"):
        if upgraded.get(key) != original.get(key):
            problems.append(f"its {key} is {upgraded.get(key)!r}, and was {original.get(key)!r}")
    users = original.children("security", "users") if original.has("security", "users") else ()
    imported: list[str] = []
    if users or original.has("security", "groups"):
        if not upgraded.prevents_deploy:
            problems.append("it has no prevent_deploy: true")
        imported = [str(user["username"]) for user in read_import(made / IMPORT)["users"]]
        if sorted(imported) != sorted(users):
            problems.append(f"{IMPORT} has {len(imported)} users, and security.users had {len(users)}")
    if problems:
        raise HubError(
            f"The config that `qhub upgrade` has made is not what it should be: {'; '.join(problems)}.",
            "The site's folder is unchanged. Report this with the version of QHub.",
        )
    return len(imported)


def read_import(path: Path) -> dict[str, list[dict[str, object]]]:
    """The users and groups for Keycloak, from QHub's file. Raises HubError where it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        users, groups = data["users"], data["groups"]
        if not all(user["username"] and isinstance(user["groups"], list) for user in users):
            raise ValueError("a user has no name or no groups")
        if not all(group["name"] for group in groups):
            raise ValueError("a group has no name")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HubError(
            f"{path} is no file of users for Keycloak: {error}.",
            "`qhub upgrade` makes it: restore it from the folder of the redeployment's record.",
        ) from error
    return {"users": users, "groups": groups}
