"""QHub: what an administrator should know before a redeployment."""

from __future__ import annotations

from functools import partial

from ..errors import HubError
from ..planning.findings.finding import BLOCKER, NOTE, WARNING, Finding, Kind, listing
from ..releases.versions import parse_release
from . import backups, programs
from .config import BROKERS, Config
from .site import Site, wrong_old_domain, wrong_project
from .versions import FIRST_WITH_UPGRADE, Redeployed, gets_keycloak

DOWNGRADE = Kind(
    "qhub-older",
    BLOCKER,
    "The wanted version of QHub is older than the site's, or has no `qhub upgrade`.",
    "`qhub upgrade` goes forward only, and exists from 0.4.0 on.",
    "Name a newer version: qhub_version.",
)
NO_REDEPLOYMENT = Kind(
    "qhub-no-redeployment",
    NOTE,
    "No version on the way needs a redeployment.",
    "`qhub deploy` changes the site in place; the steps with a second site are left out.",
    "",
)
REDEPLOYMENT = Kind(
    "qhub-redeployment",
    NOTE,
    "A version on the way needs a redeployment.",
    "A new site is deployed beside the old one, which goes on under another domain.",
    "",
)
OLD_DOMAIN = Kind(
    "qhub-old-domain",
    BLOCKER,
    "The old site has no other domain to go on under.",
    "The new site gets its domain, and the old one is the way back.",
    "Name a domain of yours, such as qhub-old.example.org, and have it in DNS: qhub_old_domain.",
)
PROJECT = Kind(
    "qhub-project",
    BLOCKER,
    "The new site has no project name of its own.",
    "Resources of the old site have names with the project's: the new ones would clash.",
    "Name one: qhub_project.",
)
CUSTOM_AUTHENTICATION = Kind(
    "qhub-custom-authentication",
    BLOCKER,
    "The site has a custom authenticator.",
    "From 0.4 on Keycloak manages all authentication, and `qhub upgrade` refuses such a config.",
    "Decide how Keycloak is to know your users, and change security.authentication to what QHub supports.",
)
AZURE_PROJECT = Kind(
    "qhub-azure-project",
    NOTE,
    "The section azure has a project.",
    "QHub never needed it, and `qhub upgrade` removes it.",
    "",
)
LOCAL_STATE = Kind(
    "qhub-local-state",
    BLOCKER,
    "Terraform's state is kept in the site's folder, or by the machine itself.",
    "The old site is deployed from a copy of the config, without that state: it would be a second one.",
    "Move the state to the provider first: terraform_state: {type: remote}.",
)
PROGRAM = Kind(
    "qhub-program",
    BLOCKER,
    "QHub cannot be installed on this host.",
    "Old and new version are needed, each with packages that it runs with.",
    "Name a Python 3.9 (qhub_python), and requirements for other versions (qhub_requirements).",
)
BACKUP = Kind(
    "qhub-backup",
    WARNING,
    "There is no backup that could be relied on now.",
    "The first step stops without one, and the gate verifies it again.",
    "Make it just before: qhub_user_data_backup, qhub_hub_database_backup.",
)
CALLBACK = Kind(
    "qhub-callback",
    WARNING,
    "The OAuth application has to be told another callback URL.",
    "Nobody can log in at the new site before.",
    "Add the URL that the plan has, and keep the old one until the end.",
)
ROOT_PASSWORD = Kind(
    "qhub-root-password",
    WARNING,
    "The new config has the first password of Keycloak's root.",
    "`qhub upgrade` writes it there, and it gets into the repository with the config.",
    "Change it in Keycloak once the new site is deployed.",
)
PASSWORDS = Kind(
    "qhub-passwords",
    WARNING,
    "Users have to set a password.",
    "Keycloak gets users and groups, but no passwords.",
    "Tell them before.",
)


def check(site: Site, config: Config, redeployed: tuple[Redeployed, ...]) -> list[Finding]:
    """All findings of a site that was not redeployed yet."""
    old = site.from_version(config)
    if parse_release(site.version) <= parse_release(old) or parse_release(site.version) < parse_release(
        FIRST_WITH_UPGRADE
    ):
        return [DOWNGRADE.found(f"The site has QHub {old}, and {site.version} is wanted.")]
    # Only a second site needs the old program.
    versions = [*([old] if redeployed else []), site.version]
    found = [*_programs(site, versions), *_backups(site)]
    if gets_keycloak(old, site.version):
        found += _authentication(config)
    if not redeployed:
        return [*found, NO_REDEPLOYMENT.found(f"QHub {old} becomes {site.version} in place.")]
    found += [
        REDEPLOYMENT.found(f"QHub {each.version} needs a redeployment: {each.why}.") for each in redeployed
    ]
    if problem := wrong_old_domain(site.old_domain, config.get("domain")):
        found.append(OLD_DOMAIN.found(problem))
    if problem := wrong_project(site.project, config.get("project_name"), config.get("provider")):
        found.append(PROJECT.found(problem))
    provider = config.get("provider")
    if provider in ("local", "existing") or config.get("terraform_state", "type") not in ("remote", ""):
        state = config.get("terraform_state", "type") or "none"
        found.append(LOCAL_STATE.found(f"terraform_state.type is {state}, and the provider {provider}."))
    return found


def _programs(site: Site, versions: list[str]) -> list[Finding]:
    found = []
    attempts = [partial(programs.requirements, site, version) for version in versions]
    for attempt in (partial(programs.python, site), *attempts):
        try:
            attempt()
        except HubError as error:
            found.append(PROGRAM.found(error.message, error.hint))
    return found


def _backups(site: Site) -> list[Finding]:
    """Only what is seen without reading all of it: that is the first step."""
    try:
        backups.look(site)
    except HubError as error:
        return [BACKUP.found(error.message, error.hint)]
    return []


def _authentication(config: Config) -> list[Finding]:
    found = []
    kind = config.authentication
    users = config.children("security", "users") if config.has("security", "users") else ()
    if kind == "custom":
        found.append(CUSTOM_AUTHENTICATION.found("security.authentication.type is custom."))
    if callback_url(config):
        found.append(
            CALLBACK.found(f"The application at {kind} needs the callback URL {callback_url(config)}.")
        )
    if config.has("azure", "project"):
        found.append(AZURE_PROJECT.found("The config has azure.project."))
    found.append(ROOT_PASSWORD.found("security.keycloak.initial_root_password will be in the new config."))
    if users and kind == "password":
        found.append(PASSWORDS.found(f"{len(users)} have to set one: {listing(list(users))}."))
    return found


def callback_url(config: Config) -> str:
    """Where the OAuth application sends users back to, from 0.4 on; empty where there is none."""
    broker = BROKERS.get(config.authentication)
    return f"https://{config.get('domain')}/auth/realms/qhub/broker/{broker}/endpoint" if broker else ""


KINDS = (
    DOWNGRADE,
    REDEPLOYMENT,
    NO_REDEPLOYMENT,
    OLD_DOMAIN,
    PROJECT,
    CUSTOM_AUTHENTICATION,
    AZURE_PROJECT,
    LOCAL_STATE,
    PROGRAM,
    BACKUP,
    CALLBACK,
    ROOT_PASSWORD,
    PASSWORDS,
)
