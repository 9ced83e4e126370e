"""The steps of the outage, in their order, and what an administrator may set of them.

No step waits for the controller. `outage` takes them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..databases import fresh_start, migration
from ..deployment import lifecycle, person, users_servers, verification
from ..deployment.announcement import announce
from ..deployment.database import database_of
from ..deployment.holding import holding
from ..deployment.model import Deployment
from ..deployment.verification import Lender
from ..environments import transitions
from ..environments.installer import InstallerOptions
from ..environments.packages import installed_version
from ..errors import HubError
from ..hub.running_servers import RunningServer
from ..planning import moving, running_servers
from ..planning.findings.finding import listing
from ..planning.plan import Plan
from ..planning.upgrade import END, REFUSE
from ..progress import Progress
from ..runs import journal
from ..runs.journal import Run
from ..services.kinds import service_of
from ..shapes import from_dict, to_dict
from . import recovery_point, rollback

#: Beyond what a step waits for, and knows how to end: reading, renaming, asking.
MARGIN_SECONDS = 60.0
#: A copy of a database of 100 GB takes this long.
COPY_SECONDS = 1800.0
#: An index that is this slow has failed.
INSTALL_SECONDS = 3600.0
EXCHANGE_SECONDS = 300.0
#: More than any database's `seen_within`.
SEEN_SECONDS = 360.0
#: The step before the hub is stopped.
SERVERS = rollback.SERVERS


@dataclass(frozen=True)
class Settings:
    """What an administrator may set of an outage; times in seconds."""

    stop_timeout: float = 120
    start_timeout: float = 120
    lock_timeout: float = 30
    migration_timeout: float = 3600
    watch: float = 0
    """For how long the new hub must run before it counts as verified."""
    user: str = ""
    """Whose server the verification starts."""
    checks: tuple[str, ...] = person.CHECKS
    """What the verification does as a person does it."""
    allow: tuple[str, ...] = ()
    """Mismatches of versions that are no failure."""
    installer: InstallerOptions = field(default_factory=InstallerOptions)
    """For what is upgraded in place."""
    database_sessions: str = REFUSE
    """Or `END`: others' sessions in the database are ended."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables, such as a proxy's address."""
    servers_idle: float = 900
    """For how long nobody must have used a user's server that is waited for."""
    servers_deadline: float = 3600
    """For how long it is waited for that; then it is stopped in use."""
    servers_timeout: float = 300
    """How long stopping users' servers may take, and starting them again."""
    restart_servers: bool = False
    """Whether those that were stopped are started on the new hub."""


@dataclass(frozen=True)
class Outage:
    """What a step is given."""

    folder: Path
    run: Run
    plan: Plan
    settings: Settings
    kept: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What a step keeps for those after it; closed when all are over."""
    lenders: list[Lender | None] = field(default_factory=list)
    """The one that was started before the hub; None where that is not needed."""
    until_stopped: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is kept while the old hub still runs."""
    shut_downs: list[Callable[[], None]] = field(default_factory=list)
    """How the old hub ends without its proxy, and its users' servers."""
    until_over: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is kept until a hub serves again, the new one or the old one."""

    @property
    def deployment(self) -> Deployment:
        return self.run.deployment

    @property
    def new_deployment(self) -> Deployment:
        """As the outage is going to have left it."""
        return moving.moved(self.deployment, self.plan.move) if self.plan.move else self.deployment

    @property
    def access(self) -> Path:
        """The folder that says how the database of the new hub is reached."""
        return self.folder / moving.FOLDER if self.plan.move else self.point

    @property
    def kept_servers(self) -> list[RunningServer]:
        """Users' servers that were left running."""
        return rollback.kept_servers(journal.mine(self.folder, self.run.id))

    @property
    def base(self) -> str:
        return str(self.folder.parent)

    @property
    def point(self) -> Path:
        return Path(self.run.recovery_point)


@dataclass(frozen=True)
class Step:
    """One step: a phase of the run's record."""

    name: str
    message: str
    """What an administrator reads who waits for it."""
    take: Callable[[Outage], dict[str, Any]]
    limit: Callable[[Settings], float]
    """Seconds after which it counts as failed."""
    is_needed: Callable[[Plan], bool] = lambda plan: plan.outage
    progress: Callable[[Outage], Callable[[], Any] | None] = lambda outage: None
    """What changes while it is alive, as in `journal.alive`."""
    again: bool = False
    """Whether a run that is completed takes it once more."""


def _attend_to_servers(outage: Outage) -> dict[str, Any]:
    """Have users' servers run on, or stop them; no other step stops one."""
    settings, deployment, way = outage.settings, outage.deployment, outage.plan.running_servers
    seconds = settings.servers_deadline + settings.servers_timeout
    hub = outage.until_stopped.enter_context(users_servers.attending(deployment, outage.point, seconds))
    found, warnings = hub.listed(), []
    if way == running_servers.REFUSE and found:
        names = listing([server.label for server in found])
        raise HubError(f"Users' servers are running, and jupyterhub_running_servers is refuse: {names}.")
    if hub.takes_shut_down():
        outage.shut_downs.append(functools.partial(hub.shut_down, servers=way in running_servers.STOPPING))
    elif way == running_servers.KEEP and found and deployment.config.cleanup_servers:
        raise HubError(
            "The hub does not take the request to end without its users' servers, as one that was started by "
            "`python -m jupyterhub.app`, and its config has it stop them.",
            "Set jupyterhub_running_servers to wait or stop, or c.JupyterHub.cleanup_servers to False.",
        )
    service_of(deployment.service).spare_servers()
    if way == running_servers.KEEP:
        return {"changed": True, "kept": [to_dict(server) for server in found]}
    if way == running_servers.WAIT:

        def tell(line: str) -> None:
            journal.tell(outage.folder, outage.run.id, SERVERS, line)

        busy = hub.wait_until_idle(settings.servers_idle, settings.servers_deadline, tell)
        warnings += [f"The server of {server.label} was in use when it was stopped." for server in busy]
        found = hub.listed()
    remaining = hub.stop(found, settings.servers_timeout)
    warnings += [f"The server of {server.label} did not stop before the hub." for server in remaining]
    return {"changed": True, "stopped": [to_dict(server) for server in found], "warnings": warnings}


def _stop(outage: Outage) -> dict[str, Any]:
    reason = f"{outage.plan.action} to {outage.plan.goal}"
    shut_down = next(iter(outage.shut_downs), None)
    announce(outage.deployment, f"In progress: {outage.plan.action} of JupyterHub to {outage.plan.goal}.")
    held = outage.until_over.enter_context(holding(outage.deployment, outage.plan.expected_outage_seconds))
    stopped = lifecycle.stop(outage.deployment, outage.base, reason, outage.settings.stop_timeout, shut_down)
    outage.until_stopped.close()
    return {**vars(stopped), **vars(held)}


def _seal(outage: Outage) -> dict[str, Any]:
    is_ended = outage.settings.database_sessions == END
    ended = database_of(outage.deployment, outage.point).end_sessions() if is_ended else []
    return {
        "changed": True,
        "warnings": [f"Ended, for it was connected to the database: {each}." for each in ended],
        "database": to_dict(recovery_point.seal(outage.point, outage.settings.lock_timeout)),
    }


def _migrate(outage: Outage) -> dict[str, Any]:
    deployment = outage.deployment
    database = database_of(deployment, outage.point)
    context = service_of(deployment.service).context()
    environment = outage.plan.migrating_environment or deployment.hub_environment.path
    if outage.plan.fresh_database:
        return fresh_start.start_fresh(
            database,
            context,
            environment,
            stopped=outage.plan.running_servers in running_servers.STOPPING,
            timeout=outage.settings.migration_timeout,
        )._asdict()
    return migration.migrate(
        database,
        context,
        environment,
        outage.folder,
        intermediate=[each.staged_path for each in outage.plan.intermediate_versions],
        timeout=outage.settings.migration_timeout,
    )._asdict()


def _move(outage: Outage) -> dict[str, Any]:
    deployment = outage.deployment
    target = moving.remembered(outage.folder, deployment)
    if target is None:
        raise HubError("The address of the new database is gone.", "Run move_database.yml again.")
    sqlalchemy = installed_version(deployment.hub_environment.path, "sqlalchemy") or ""
    source = database_of(deployment, outage.point).url(sqlalchemy)
    copied = target.fill(source, outage.settings.migration_timeout)
    moving.line_of(deployment).write(target.url)
    return {"changed": True, **copied._asdict()}


def _exchange(in_place: bool) -> Callable[[Outage], dict[str, Any]]:
    def take(outage: Outage) -> dict[str, Any]:
        entries = [entry for entry in outage.plan.environments if entry.in_place == in_place]
        options = outage.settings.installer
        return transitions.apply("switched", entries, outage.point.name, options, Progress())

    return take


def _start(outage: Outage) -> dict[str, Any]:
    version, timeout = outage.plan.to_version, outage.settings.start_timeout
    deployment = outage.new_deployment
    ahead = verification.lending_ahead(deployment, outage.access, outage.settings.user)
    outage.lenders.append(outage.kept.enter_context(ahead))
    return vars(lifecycle.start(deployment, outage.base, version, timeout))


def _verify(outage: Outage) -> dict[str, Any]:
    settings, run = outage.settings, journal.mine(outage.folder, outage.run.id)
    found = verification.prove(
        outage.new_deployment,
        version=outage.plan.to_version,
        point=outage.access,
        revision=run.measured("migrate", "to_revision"),
        allow=settings.allow,
        without=[each.path for each in outage.plan.left_out],
        since=run.measured("stop", "log_mark"),
        timeout=settings.start_timeout,
        watch=settings.watch,
        user=settings.user,
        checks=_checks(settings, run),
        lender=outage.lenders[-1] if outage.lenders else None,
    )
    lost = users_servers.lost(outage.new_deployment, outage.kept_servers, rollback.SERVERS_TIMEOUT)
    return {"changed": False, **found, "warnings": lost}


def _restart_servers(outage: Outage) -> dict[str, Any]:
    """Start users' servers again; one that does not start is named, and no reason to restore the old hub."""
    stopped = (journal.mine(outage.folder, outage.run.id).taken(SERVERS) or {}).get("stopped", [])
    if not (stopped and outage.settings.restart_servers):
        return {"changed": False}
    servers = [from_dict(RunningServer, server) for server in stopped]
    try:
        with users_servers.attending(outage.new_deployment, outage.access) as hub:
            missing = [server.label for server in hub.start(servers, outage.settings.servers_timeout)]
    except HubError as error:
        return {"changed": True, "warnings": [f"Users' servers were not started again: {error}"]}
    return {
        "changed": True,
        "warnings": [f"The server of {label} was not started again." for label in missing],
    }


def _checks(settings: Settings, run: Run) -> list[str]:
    """What is asked for, without a log-in page that the old hub had not either."""
    had_none = run.measured("arm", "broken_log_in")
    return [check for check in settings.checks if check != person.LOG_IN or not had_none]


#: In their order. The migration comes before the switch: see docs/architecture.md.
STEPS = (
    Step(
        SERVERS,
        "Attending to users' servers",
        _attend_to_servers,
        lambda settings: settings.servers_deadline + settings.servers_timeout + SEEN_SECONDS + MARGIN_SECONDS,
        is_needed=lambda plan: bool(plan.running_servers),
        again=True,
    ),
    # The hub has the time to end by itself, and its manager to end it.
    Step("stop", "Stopping the hub", _stop, lambda settings: 2 * settings.stop_timeout + MARGIN_SECONDS),
    Step(
        "seal",
        "Backing up the stopped database",
        _seal,
        lambda settings: settings.lock_timeout + COPY_SECONDS,
    ),
    Step(
        "upgrade in place",
        "Upgrading the environments that could not be staged",
        _exchange(in_place=True),
        lambda settings: INSTALL_SECONDS,
        is_needed=lambda plan: any(entry.in_place for entry in plan.environments),
    ),
    Step(
        "migrate",
        "Migrating the database",
        _migrate,
        lambda settings: settings.migration_timeout + MARGIN_SECONDS,
        is_needed=lambda plan: plan.outage and plan.move is None,
        # It may take minutes. One that waits for a lock may take for ever, and is not alive.
        progress=lambda outage: database_of(outage.deployment, outage.point).progress,
    ),
    Step(
        "move",
        "Copying all rows to the new database",
        _move,
        lambda settings: settings.migration_timeout + MARGIN_SECONDS,
        is_needed=lambda plan: plan.move is not None,
    ),
    Step(
        "switch",
        "Switching to the new environments",
        _exchange(in_place=False),
        lambda settings: EXCHANGE_SECONDS,
        is_needed=lambda plan: plan.move is None,
    ),
    Step("start", "Starting the new hub", _start, lambda settings: settings.start_timeout + MARGIN_SECONDS),
    Step(
        "verify",
        "Verifying the new hub",
        _verify,
        # It waits for the hub, until that sees the token, for the start and the stop of a user's server, and
        # for a kernel; and for the answers of those that were kept.
        lambda settings: (
            4 * settings.start_timeout
            + settings.watch
            + rollback.SERVERS_TIMEOUT
            + SEEN_SECONDS
            + MARGIN_SECONDS
        ),
        is_needed=lambda plan: True,
        again=True,
    ),
    Step(
        "restart servers",
        "Starting users' servers again",
        _restart_servers,
        lambda settings: settings.servers_timeout + SEEN_SECONDS + MARGIN_SECONDS,
        is_needed=lambda plan: plan.running_servers in running_servers.STOPPING,
    ),
)
