"""A redeployment as the administrator wants it: which site, which version, which names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import HubError
from ..releases.versions import parse_release
from ..system import state
from .config import Config

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
#: QHub's own rule.
_PROJECT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,15}")


@dataclass(frozen=True)
class Backup:
    """A file with a backup, on the host of the site's folder, or an object at S3, and what it has to be."""

    path: str
    sha256: str = ""
    """In hexadecimal, as it was when the backup was made; empty where nobody has noted it."""
    size: int = 0
    """Bytes; needed for an object at S3, and of no use for a file."""


@dataclass(frozen=True)
class Site:
    """What the inventory says; the documentation of the modules says what each field means."""

    folder: str
    version: str = ""
    old_version: str = ""
    old_domain: str = ""
    project: str = ""
    kubernetes_version: str = ""
    python: str = ""
    requirements: dict[str, str] | None = None
    user_data: Backup | None = None
    hub_database: Backup | None = None
    backup_max_age: int = 86400
    branch: str = ""
    push: bool = False
    restored_data: str = ""
    restored_database: str = ""
    keycloak_url: str = ""
    keycloak_user: str = "root"
    keycloak_password: str = field(default="", repr=False)
    keycloak_password_file: str = ""
    keycloak_realm: str = "qhub"
    validate_certs: bool = True
    auth0_client_id: str = ""
    auth0_client_secret: str = field(default="", repr=False)
    hub_token: str = field(default="", repr=False)
    destroy_project: str = ""
    destroy_options: tuple[str, ...] = ()
    accept_loss: bool = False
    deploy_options: tuple[str, ...] = ()
    old_deploy_options: tuple[str, ...] = ()
    state_folder: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder)

    def from_version(self, config: Config) -> str:
        """The version that the site runs. Raises HubError where nothing says it."""
        version = self.old_version or config.version
        if not version:
            raise HubError(
                "The config has no qhub_version, and its image of JupyterHub has no version as tag.",
                "Name the version that the site runs: qhub_old_version.",
            )
        return str(parse_release(version))

    def kept_in(self, domain: str) -> Path:
        """The folder on the host with the record and the programs. It need not exist."""
        return state.base_folder(self.state_folder) / "qhub" / domain


def wrong_old_domain(old_domain: str, domain: str) -> str:
    """Why the old site cannot have that domain; empty where it can."""
    if not old_domain:
        return "No domain is named under which the old site goes on."
    if old_domain == domain:
        return f"The old site's new domain, {old_domain}, is the one it has."
    return "" if _DOMAIN.fullmatch(old_domain) else f"{old_domain!r} is not a domain."


def wrong_project(project: str, old_project: str, provider: str) -> str:
    """Why the new site cannot have that project name; empty where it can."""
    if not project:
        return "No project name is given for the new site."
    if project == old_project:
        return f"The new site's project name, {project}, is the old one's: their resources would clash."
    if not _PROJECT.fullmatch(project):
        return f"{project!r} is no project name: a letter, then up to 15 letters, digits, - and _."
    if provider == "aws" and project.startswith("aws"):
        return f"A project name on AWS must not begin with aws: {project}."
    return f"A project name on Azure has no -: {project}." if provider == "azure" and "-" in project else ""
