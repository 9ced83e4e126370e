"""Upgrade: what is wanted, on which host and under which policy; what plan and findings are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Sequence

from ..databases.drivers import Driver, missing_drivers
from ..deployment.model import Deployment
from ..deployment.server_images import KEEP, ServerImage, StaleContainer
from ..environments.facts import EnvironmentFacts, Obstacle
from ..environments.identical import FEWEST
from ..environments.kinds import environment_of
from ..environments.planned import FAIL, IN_PLACE, REBUILD, LeftOut, PlannedEnvironment
from ..releases.requirements import parse_requirement, satisfies
from ..releases.versions import parse_release
from .basis import FailedUpgrade, digest
from .found_host import FoundHost
from .window import Window

#: A copied environment needs its own size again, and space for what is downloaded and compiled.
STAGING_RESERVE_BYTES = 400 * 1024 * 1024
#: One of many that hold the same, most of whose files are links: 7 MB were measured.
LINKED_BYTES = 64 * 1024 * 1024
#: What is done with others who are connected to the database.
REFUSE, END = DATABASE_SESSIONS = "refuse", "end"
#: A recovery point holds the database twice for a moment: the copy and the one that replaces it. Once the new
#: hub is accepted it holds it once, and its first backup does; the restore's test has what was reserved.
DATABASE_COPIES = 2


@dataclass(frozen=True)
class Target:
    """The release that is wanted, as its own wheel describes it.

    ``revisions`` are those of the database that it knows, in no order, and ``options`` those of the config,
    by class; empty where that is not known.
    ``problem`` says instead why it could not be had, ``hint`` what can be done.
    """

    version: str
    requires_python: str = ""
    schema_head: str | None = None
    revisions: list[str] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Resolution:
    """What the installer would make of an environment.

    ``packages`` are all that it would have, ``conflicts`` those between them, a sentence each.
    ``drivers`` are the database's that it would lack if they were not added.
    ``problem`` says why there is no answer; ``answered`` is False where that is not the packages' fault.
    ``obstacles`` are why it was not asked. ``image`` is the one that has the packages, where one has.
    """

    packages: dict[str, str]
    conflicts: list[str] = field(default_factory=list)
    drivers: list[Driver] = field(default_factory=list)
    problem: str = ""
    hint: str = ""
    answered: bool = True
    obstacles: list[Obstacle] = field(default_factory=list)
    image: str = ""


@dataclass(frozen=True)
class Host:
    """What the plan has to know of the host besides the deployment.

    ``python_versions`` are those that the interpreters print, by path, '' where one does not run.
    ``links`` are those of each environment through which an installer would leave it, as (path, target).
    ``mounts`` are the points of each at which a file system is mounted, itself among them.
    ``requirement_files`` are the lists of requirements that packages of the hub's environment have, by path.
    ``written`` has the files within each environment that are written while the hub serves, as
    {path: setting}.
    ``unanswered`` has the reason why what runs does not pass its later checks, by `verification.unanswered`.
    ``differences`` are those between the hub that runs and the one that would be started now.
    ``of_site`` are digests of the site's files; ``failed`` is the last upgrade, where it was undone.
    ``options`` are those that the hub of today knows, by class; ``templates`` the custom ones' texts by
    path; ``single_user_script`` path and text of the single-user command where that is a script;
    ``knows_user`` says whether the hub has the user whose server is to be started;
    ``running_servers`` names those that are registered as running, ``ada`` or ``ada/gpu``; ``now`` is the
    time that its clock shows. ``apart`` says whether the state folder is on another file system than the
    database. ``linkable`` are environments of this account alone on the state folder's file system.
    ``server_images`` are those that servers start from after the upgrade, where they are
    containers, ``stale_containers`` those of users' servers that do not.
    """

    root: bool
    user: str
    state_folder: str
    free_bytes: dict[str, int] = field(default_factory=dict)
    environment_bytes: dict[str, int] = field(default_factory=dict)
    linkable: list[str] = field(default_factory=list)
    not_writable: list[str] = field(default_factory=list)
    python_versions: dict[str, str] = field(default_factory=dict)
    links: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    mounts: dict[str, list[str]] = field(default_factory=dict)
    written: dict[str, dict[str, str]] = field(default_factory=dict)
    requirement_files: dict[str, list[str]] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    of_site: dict[str, str] = field(default_factory=dict)
    failed: FailedUpgrade | None = None
    installed: dict[str, dict[str, str]] = field(default_factory=dict)
    resolved: dict[str, Resolution] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    single_user_script: tuple[str, str] = ("", "")
    knows_user: bool = True
    running_servers: list[str] = field(default_factory=list)
    now: datetime | None = None
    apart: bool = False
    server_images: list[ServerImage] = field(default_factory=list)
    stale_containers: list[StaleContainer] = field(default_factory=list)


@dataclass(frozen=True)
class Policy:
    """What the administrator decided."""

    strategy: str = "auto"  # auto or in_place
    python: str = ""  # interpreter for the new environments, '' keeps the old one
    packages: list[str] = field(default_factory=list)
    user_packages: list[str] = field(default_factory=list)
    accept: list[str] = field(default_factory=list)
    verify_user: str = ""  # whose server is started to prove the new hub
    environment_failures: str = FAIL  # or REPORT, and go on without a single-user environment
    running_servers: str = "auto"  # or one of `running_servers.WAYS`
    window: Window | None = None  # when the upgrade may begin; at any time
    database_sessions: str = REFUSE  # or END: what is done with others' sessions in the hub's database
    stale_containers: str = KEEP  # or REMOVE, once the new hub is accepted


@dataclass(frozen=True)
class Upgrade:
    """All that a check may look at.

    ``environments`` are those that the upgrade changes, as the plan lists them, ``left_out`` those that it
    should and cannot; ``changes`` says whether it changes anything at all. ``elsewhere`` has the other
    hosts of single-user servers.
    """

    deployment: Deployment
    target: Target
    host: Host
    policy: Policy = field(default_factory=Policy)
    environments: tuple[PlannedEnvironment, ...] = ()
    changes: bool = True
    left_out: tuple[LeftOut, ...] = ()
    elsewhere: tuple[HostUpgrade, ...] = ()

    @property
    def current(self) -> str:
        """The version that the hub runs."""
        return self.deployment.jupyterhub

    @property
    def basis(self) -> str:
        """What identifies the same upgrade of the same hub."""
        environments, installed = [*self.environments], dict(self.host.installed)
        for other in self.elsewhere:
            environments += other.upgrade.environments
            on_it = other.upgrade.host.installed
            installed.update({f"{path} on {other.found.name}": on_it[path] for path in on_it})
        return digest(self.target.version, environments, installed, self.host.of_site)

    @property
    def is_downgrade(self) -> bool:
        return parse_release(self.target.version) < parse_release(self.current)

    def packages_after(self, path: str) -> dict[str, str]:
        """Packages of an environment after the upgrade, as far as that is known, else those of today."""
        resolution = self.host.resolved.get(path)
        return resolution.packages if resolution else self.host.installed.get(path, {})

    @property
    def added_drivers(self) -> list[Driver]:
        """The database's drivers that the hub's environment gets, because it would lack them."""
        return added_drivers(self.deployment, self.host)

    @property
    def major(self) -> int:
        """The target's major."""
        return parse_release(self.target.version).major

    def crosses(self, major: int) -> bool:
        """Whether the hub is older than this major, and the target is not."""
        return parse_release(self.current).major < major <= self.major


@dataclass(frozen=True)
class HostUpgrade:
    """What an upgrade changes on another host of single-user servers: as if it were the hub's."""

    found: FoundHost
    upgrade: Upgrade


class UsedEnvironment(NamedTuple):
    """An environment and the part that it plays."""

    facts: EnvironmentFacts
    role: str
    """``hub``, ``user`` or ``both``."""

    @property
    def path(self) -> str:
        """Without a slash at its end."""
        return self.facts.path.rstrip("/")


def environments_of(deployment: Deployment) -> list[UsedEnvironment]:
    """Every environment with the part it plays."""
    hub = deployment.hub_environment
    users = deployment.user_environments
    inside = hub.path.rstrip("/") + "/"
    shared = not users or any(
        command[:1] and command[0].startswith(inside) for command in deployment.spawner.commands
    )
    return [
        UsedEnvironment(hub, "both" if shared else "hub"),
        *(UsedEnvironment(user, "user") for user in users),
    ]


def interpreter_for(environment: EnvironmentFacts, policy: Policy) -> str:
    """The interpreter of the host for which an environment is rebuilt; '' where it keeps its own."""
    return "" if environment_of(environment.kind, environment.path).has_own_python else policy.python


def requirements_of(environment: UsedEnvironment, version: str, policy: Policy) -> list[str]:
    """What has to be in an environment: the target, and the packages that its role needs."""
    requirements = [f"jupyterhub=={version}"]
    if environment.role in ("hub", "both"):
        requirements += policy.packages
    if environment.role in ("user", "both"):
        requirements += policy.user_packages
    return list(dict.fromkeys(requirements))


def added_drivers(deployment: Deployment, host: Host) -> list[Driver]:
    """The database's drivers that the hub's new environment would lack.

    Where it is rebuilt, its SQLAlchemy is chosen only then: it gets all that the URL may stand for.
    """
    hub = deployment.hub_environment.path.rstrip("/")
    if hub in host.resolved:
        return host.resolved[hub].drivers
    packages = host.installed.get(hub, deployment.hub_environment.packages)
    unsettled = {name: version for name, version in packages.items() if name != "sqlalchemy"}
    return missing_drivers(deployment.database.url, unsettled)


def missing(
    environment: UsedEnvironment, version: str, installed: dict[str, str], policy: Policy
) -> list[str]:
    """Those requirements that the packages of an environment do not fulfil today."""
    return [
        requirement
        for requirement in requirements_of(environment, version, policy)
        if not _fulfils(installed, requirement, environment.facts.python_version or "")
    ]


def _fulfils(installed: dict[str, str], requirement: str, python: str) -> bool:
    """Whether what is installed fulfils a requirement; what came from an address is never known to."""
    wanted = parse_requirement(requirement)
    if wanted is None or wanted.address:
        return False
    if wanted.applies(python) is False:
        return True
    return wanted.name in installed and satisfies(installed[wanted.name], wanted.specifiers)


def bytes_needed(
    deployment: Deployment, host: Host, environments: Sequence[PlannedEnvironment]
) -> dict[str, int]:
    """Bytes that the upgrade takes, by folder."""
    needed: dict[str, int] = {}
    alike: dict[str, int] = {}
    for entry in environments:
        parent = entry.path.rpartition("/")[0] or "/"
        taken = STAGING_RESERVE_BYTES + (0 if entry.in_place else host.environment_bytes.get(entry.path, 0))
        if entry.path in host.linkable and entry.strategy not in (IN_PLACE, REBUILD):
            packages = sorted(host.installed.get(entry.path, {}).items())
            key = f"{parent} {entry.role} {entry.requirements} {packages}"
            alike[key] = alike.get(key, 0) + 1
            # Staging, which knows better, asks for space once more.
            taken = taken if alike[key] <= FEWEST else LINKED_BYTES
        needed[parent] = needed.get(parent, 0) + taken
    database = deployment.database
    # A restore copies what it replaces where it cannot be moved: that space is reserved before the outage.
    copies = [(host.state_folder, DATABASE_COPIES + int(host.apart))]
    if database.path:
        # The journal of the migration, and the copy that a restore makes.
        copies.append((database.path.rpartition("/")[0] or "/", DATABASE_COPIES))
    for folder, count in copies:
        needed[folder] = needed.get(folder, 0) + int(database.bytes or 0) * count
    return needed
