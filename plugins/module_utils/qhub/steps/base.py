"""What every step of a redeployment has in common. One file for each kind of step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...system import files
from .. import config as configs
from .. import programs
from ..config import Config
from ..keycloak import Keycloak
from ..record import Redeployment
from ..site import Site


@dataclass(frozen=True)
class Work:
    """What a step works with. The config is read again by each step."""

    site: Site
    record: Redeployment
    kept: Path
    """The folder on the host with the record, the programs and their output."""

    @property
    def config(self) -> Config:
        return configs.read(self.site.path)

    @property
    def config_path(self) -> Path:
        return self.site.path / configs.NAME

    def write_config(self, config: Config) -> None:
        """Put a changed config in the place of the site's, whole."""
        files.write(self.config_path, config.text.encode(), mode=self.config_path.stat().st_mode & 0o777)

    def keycloak(self, password: str = "") -> Keycloak:
        """The new site's: its administrator has the password given, the changed one, or the inventory's."""
        site = self.site
        url = site.keycloak_url or f"https://{self.record.domain}/auth"
        changed = Path(self.record.evidence("root_password").get("file") or "/nowhere")
        if not password and changed.is_file():
            password = changed.read_text(encoding="utf-8").strip()
        password = password or site.keycloak_password
        return Keycloak(url, site.keycloak_user, password, site.keycloak_realm, site.validate_certs)

    def qhub(self, version: str, *arguments: str, folder: Path, cloud: bool = False) -> programs.Output:
        """Run ``qhub`` of a version in a folder."""
        return programs.run([str(programs.program(self.kept, version)), *arguments], folder, cloud)


@dataclass(frozen=True)
class Result:
    """What a step has done: its evidence, and texts that differ, without secrets."""

    evidence: dict[str, str]
    before: str = ""
    after: str = ""


class Step:
    """A step: what it does, and whether what it did is still so.

    It can be cut off at any time and carried out again: what it has to change is changed last, by one rename.
    """

    name = ""
    title = ""
    only_redeployed = True
    """Whether it is left out where no redeployment is needed."""

    final = False
    """Whether nothing that is older can be gone back to once it has begun."""
    only_with_keycloak = False
    """Whether it is left out where the site does not get its first Keycloak."""

    def carry_out(self, work: Work) -> Result:
        """Do it, or read what shows that a person did. Raises HubError where the gate stays shut."""
        raise NotImplementedError

    def require(self, work: Work) -> None:
        """What has to be so before anything is noted or changed. Raises HubError where it is not."""

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        """Why a step that was carried out has to be carried out again; empty where it holds."""
        return ""


def checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
