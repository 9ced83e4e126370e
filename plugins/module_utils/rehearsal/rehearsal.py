"""Rehearsal: the upgrade on a copy of the database, with the staged environments, while the hub serves.

The copy is migrated and compared, the real config is loaded, and the new hub is started on the copy and asked
what users and programs will ask it. Nothing of the real hub is changed; see docs/rehearsal.md.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ..databases import fresh_start, hub_tables, migration, schema
from ..databases.base import Database, DatabaseCopy
from ..deployment import server_images
from ..deployment.config import LoadedConfig, load_config
from ..deployment.database import database_of
from ..deployment.model import Deployment
from ..environments.as_owner import owner_of
from ..environments.discovery import environment_of_command
from ..environments.environment import read_environment
from ..environments.packages import SERVERS, can_serve, installed_version
from ..environments.planned import PlannedEnvironment
from ..errors import HubError
from ..hub import logs, sockets
from ..planning.findings import rehearsal as kinds
from ..planning.findings import server_images as image_findings
from ..planning.findings.config import ALLOW_OPTION_GONE, CONFIG_OPTION_GONE
from ..planning.findings.finding import BLOCKER, Finding, in_lines
from ..planning.findings.kinds import judge
from ..planning.findings.proxy import PROXY_NOT_FOUND
from ..planning.findings.security import COOKIE_SECRET_MODE, NO_ALLOW_RULE
from ..services.command_line import HubCommand
from ..services.kinds import service_of
from ..shapes import to_dict
from ..system.execution_context import ExecutionContext
from . import checks, rehearsed_hub
from .rehearsed_hub import RehearsedHub, Wanted

#: One unreadable auth state may be older than the key; all of these are not.
AUTH_STATES = 3
MOST_LINES = 5
#: Options that allow or refuse users: an unknown one does neither.
ACCESS = re.compile(r"`\w*(allow|admin|block|whitelist|blacklist|password)\w*`")
SINGLE_USER = "jupyterhub-singleuser"


@dataclass
class Rehearsal:
    """What a rehearsal has shown."""

    findings: list[Finding] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds of each part: copy, migrate, config, start, log in, spawn, stop, old hub."""
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    """Number of rows of each table, ``before`` and ``after`` the migration."""
    compared: dict[str, list[str]] = field(default_factory=dict)
    """The columns of each table that were compared, value by value."""
    version: str | None = None
    sys_executable: str | None = None
    single_user_version: str | None = None
    deprecated: list[str] = field(default_factory=list)
    migration_fails: str = ""
    """How, where it does: another way may be tried."""
    lost: list[str] | None = None
    """What a fresh database does not take over; None where the database is migrated."""
    refused_posts: list[str] = field(default_factory=list)
    """Paths of the authenticator at which the new hub refuses what comes from another site."""
    failing_pages: dict[str, int] = field(default_factory=dict)
    """Paths of the authenticator's pages with which the new hub fails, and its status."""

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings[part] = round(time.monotonic() - began, 3)

    @property
    def expected_outage_seconds(self) -> float | None:
        """From the word to stop to the first answer of the new hub; None where it never answered."""
        if "start" not in self.timings or self.version is None:
            return None
        parts = (self.timings.get(part, 0.0) for part in ("stop", "copy", "migrate", "start"))
        return round(sum(parts), 1)

    def result(self, accept: list[str], known: Collection[str] = ()) -> dict[str, Any]:
        """The shape that the module returns; what forbids nothing and is ``known`` by its id is left out."""
        findings = [
            finding
            for finding in judge(self.findings, accept)
            if finding.severity == BLOCKER or finding.id not in known
        ]
        return {
            "findings": [to_dict(finding) for finding in findings],
            "blockers": [in_lines(finding) for finding in findings if finding.severity == BLOCKER],
            "timings": self.timings,
            "expected_outage_seconds": self.expected_outage_seconds,
            "rows": self.rows,
            "compared": self.compared,
            "version": self.version,
            "sys_executable": self.sys_executable,
            "single_user_version": self.single_user_version,
            "deprecated": self.deprecated,
        }


@dataclass(frozen=True)
class Scene:
    """All that a rehearsal works with."""

    deployment: Deployment
    database: Database
    staged: dict[str, str]
    """Folder of each new environment, by the path that it is going to have."""
    version: str
    state_folder: Path
    context: ExecutionContext
    """That of the present hub."""
    staged_context: ExecutionContext
    """The same, where its paths lead into the staged environments."""
    command: HubCommand | None
    start_timeout: float
    migration_timeout: float
    intermediate: list[str]
    """Environments of the releases that the migration goes through."""
    fresh_database: str
    """Why a fresh database takes the place of the old one; '' where that is migrated."""
    stops_servers: bool
    """Whether users' servers are stopped before the hub."""
    progress: Callable[[str], None]

    @property
    def hub_environment(self) -> str:
        """Where the hub's environment is now, as it is going to be."""
        path = str(self.deployment.hub_environment.path).rstrip("/")
        return self.staged.get(path, path)


def rehearse(
    deployment: Deployment,
    environments: Sequence[PlannedEnvironment],
    version: str,
    state_folder: Path,
    *,
    intermediate: Iterable[str] = (),
    fresh_database: str = "",
    stops_servers: bool = False,
    start_timeout: float = 120,
    migration_timeout: float = 3600,
    progress: Callable[[str], None] = lambda line: None,
) -> Rehearsal:
    """Rehearse an upgrade to ``version``; ``environments`` are those of the plan, staged.

    The process that has migrated the copy is left to wait for its word, see `migration.rehearse`.
    ``fresh_database`` says why a fresh one takes the place of the database, where that cannot be migrated,
    and ``stops_servers`` whether users' servers are stopped before. What would fail is a finding. Raises
    HubError where the rehearsal itself is not possible.
    """
    rehearsal = Rehearsal()
    in_place = [entry.path for entry in environments if entry.in_place]
    service = service_of(deployment.service)
    context = service.context()
    staged = {entry.path: entry.staged_path for entry in environments}
    scene = Scene(
        deployment=deployment,
        database=database_of(deployment),
        staged=staged,
        version=version,
        state_folder=state_folder,
        context=context,
        staged_context=context.relocated(staged),
        command=service.hub_command(),
        start_timeout=start_timeout,
        migration_timeout=migration_timeout,
        intermediate=list(intermediate),
        fresh_database=fresh_database,
        stops_servers=stops_servers,
        progress=progress,
    )
    with scene.database.scratch(scene.context) as folder:
        rehearsed_hub.end_leftovers(folder)
        if in_place:
            found = f"{', '.join(in_place)} is upgraded in place."
            rehearsal.findings.append(kinds.NOT_REHEARSED.found(found))
        else:
            _rehearse_new(rehearsal, scene, folder)
        # A fault of both is reported for the new one.
        if not any(finding.severity == BLOCKER for finding in rehearsal.findings):
            _start_old(rehearsal, scene, folder)
    if rehearsal.lost is not None:
        lost = (
            f"It is lost with it: {', '.join(rehearsal.lost)}."
            if rehearsal.lost
            else "Nothing is lost with it."
        )
        rehearsal.findings.append(kinds.FRESH_DATABASE.found(f"{fresh_database} {lost}"))
    return rehearsal


def _rehearse_new(rehearsal: Rehearsal, scene: Scene, folder: Path) -> None:
    scene.progress("Rehearsing on a copy of the database")
    with rehearsal.timed("copy"):
        copy = scene.database.copy(folder, scene.context, "new")
    prepared = _made_fresh if scene.fresh_database else _migrated
    config = prepared(rehearsal, scene, copy) and _loaded(rehearsal, scene)
    if config:
        _play(rehearsal, scene, config, folder, copy)


def _start_old(rehearsal: Rehearsal, scene: Scene, folder: Path) -> None:
    """Start the hub of today once more, on a copy: the one that serves may have read what is gone."""
    hub, file = scene.deployment.hub_environment, scene.deployment.config.file
    environment, version = hub.path, hub.jupyterhub
    scene.progress(f"Starting JupyterHub {version} as a rollback would, on a copy")
    with rehearsal.timed("old hub"):
        try:
            config = load_config(hub, scene.command, scene.context, file)
        except HubError as error:
            rehearsal.findings.append(kinds.OLD_START.found(f"With JupyterHub {version}: {error.message}"))
            return
        copy = scene.database.copy(folder, scene.context, "old")
        copy.forget_servers()
        url = copy.url(installed_version(environment, "sqlalchemy") or "")
        wanted = rehearsed_hub.without_servers(
            environment, scene.command, config, url, scene.context, scene.start_timeout
        )
        with rehearsed_hub.booted(wanted, scene.context, folder) as old:
            try:
                old.wait_until_it_answers(scene.start_timeout)
            except (rehearsed_hub.NoAnswer, rehearsed_hub.HubExited):
                found = f"JupyterHub {version} in {environment} does not start any more.\n{old.log_end()}"
                rehearsal.findings.append(kinds.OLD_START.found(found))
            else:
                _compare_posts(rehearsal, scene, old)
                _compare_pages(rehearsal, scene, old)
            old.stop()


def _compare_posts(rehearsal: Rehearsal, scene: Scene, old: RehearsedHub) -> None:
    """A launch or an assertion from another site that the hub of today takes, and the new one refuses."""
    taken = [path for path in rehearsal.refused_posts if not checks.refuses_post(old, path)]
    if taken:
        found = (
            f"JupyterHub {scene.version} refuses a POST from another site to "
            f"{', '.join(f'/hub{path}' for path in taken)} of {scene.deployment.authenticator.class_name}; "
            f"{scene.deployment.jupyterhub} takes it."
        )
        rehearsal.findings.append(kinds.POST_REFUSED.found(found))


def _compare_pages(rehearsal: Rehearsal, scene: Scene, old: RehearsedHub) -> None:
    """A page of the authenticator's that the hub of today answers, and with which the new one fails."""
    fails = [
        f"/hub{path} ({status})"
        for path, status in rehearsal.failing_pages.items()
        if not checks.failure_of_page(old, path)
    ]
    if fails:
        found = (
            f"JupyterHub {scene.version} fails with {', '.join(fails)} of "
            f"{scene.deployment.authenticator.class_name}; {scene.deployment.jupyterhub} answers."
        )
        rehearsal.findings.append(kinds.PAGE_FAILS.found(found))


def _migrated(rehearsal: Rehearsal, scene: Scene, copy: DatabaseCopy) -> bool:
    """Migrate the copy and compare it; whether a hub can be started on it."""
    before = copy.contents()
    keys = copy.keys()
    rehearsal.compared = {table: list(found.columns) for table, found in keys.items()}
    rehearsal.timings["migrate"] = 0.0
    after = before.rows
    if before.revision != schema.head_revision(scene.hub_environment):
        scene.progress("Migrating the copy")
        try:
            done = migration.rehearse(
                scene.database,
                scene.context,
                scene.hub_environment,
                scene.state_folder,
                copy,
                intermediate=scene.intermediate,
                timeout=scene.migration_timeout,
            )
        except HubError as error:
            if isinstance(error, migration.MigrationFails):
                rehearsal.migration_fails = error.message
            through = f"Through {' and '.join(scene.intermediate)}: " if scene.intermediate else ""
            rehearsal.findings.append(kinds.MIGRATION.found(through + error.message, error.hint))
            return False
        rehearsal.timings["migrate"] = done.seconds
        after = done.rows_after
    _count(rehearsal, before.rows, after)
    given_up = schema.given_up(scene.hub_environment, before.revision)
    wrong = hub_tables.compare(keys, copy.keys(), given_up)
    if wrong:
        rehearsal.migration_fails = f"The migration changes what it must not: {'; '.join(wrong)}."
        rehearsal.findings.append(kinds.ROWS.found(rehearsal.migration_fails))
    copy.forget_servers()
    return True


def _made_fresh(rehearsal: Rehearsal, scene: Scene, copy: DatabaseCopy) -> bool:
    """Put a fresh database in the place of the copy; whether a hub can be started on it."""
    scene.progress("Putting a fresh database in the place of the copy")
    before, keys = copy.contents(), copy.keys()
    try:
        done = fresh_start.start_fresh(
            copy,
            scene.context,
            scene.hub_environment,
            stopped=scene.stops_servers,
            timeout=scene.migration_timeout,
        )
    except HubError as error:
        found = f"{scene.fresh_database} {error.message}"
        rehearsal.findings.append(kinds.FRESH_DATABASE_NOT_POSSIBLE.found(found, error.hint))
        return False
    rehearsal.timings["migrate"] = done.seconds
    rehearsal.lost = fresh_start.lost(before)
    _count(rehearsal, before.rows, done.rows_after)
    rehearsal.compared = {
        table: list(found.columns) for table, found in keys.items() if table in hub_tables.CARRIED
    }
    wrong = hub_tables.compare(keys, copy.keys(), set(keys) - set(rehearsal.compared))
    if wrong:
        found = f"A fresh database changes what it must not: {'; '.join(wrong)}."
        rehearsal.findings.append(kinds.ROWS.found(found))
    copy.forget_servers()
    return True


def _count(rehearsal: Rehearsal, before: dict[str, int], after: dict[str, int]) -> None:
    rehearsal.rows = {
        table: {"before": before.get(table, 0), "after": after.get(table, 0)}
        for table in sorted(before.keys() | after.keys())
    }


def _loaded(rehearsal: Rehearsal, scene: Scene) -> LoadedConfig | None:
    """Load the real config with the new environment; what it says, None where it does not load."""
    scene.progress("Loading the hub's config with the new environment")
    environment = read_environment(scene.hub_environment)
    try:
        with rehearsal.timed("config"):
            config = load_config(
                environment, scene.command, scene.staged_context, scene.deployment.config.file
            )
    except HubError as error:
        found = f"With JupyterHub {scene.version}: {error.message}"
        rehearsal.findings.append(kinds.CONFIG.found(found))
        return None
    # The rehearsal's hub listens on a port, and would not notice.
    scheme = config.hub_bind_url.partition("://")[0]
    if scheme in sockets.SCHEMES and scheme != sockets.scheme_of(scene.version):
        found = f"With JupyterHub {scene.version}, c.JupyterHub.hub_bind_url begins with {scheme}://."
        rehearsal.findings.append(kinds.SOCKET.found(found))
    _look_at_images(rehearsal, scene, config)
    return config


def _look_at_images(rehearsal: Rehearsal, scene: Scene, config: LoadedConfig) -> None:
    """Judge the images of servers, where the config names others with the new JupyterHub than planned."""
    images, before = config.spawner.images, scene.deployment.spawner.images
    planned = server_images.as_of(before, scene.version) if before else None
    if images is None or (planned and (planned.image, planned.choices) == (images.image, images.choices)):
        return
    scene.progress("Reading the images that servers start from")
    offered = server_images.read(images, scene.version, config.spawner.command)
    rehearsal.findings += image_findings.of_images(offered, scene.version)


def _play(rehearsal: Rehearsal, scene: Scene, config: LoadedConfig, folder: Path, copy: DatabaseCopy) -> None:
    """Start the new hub on the copy, ask it, and stop it."""
    python = migration.python_of(scene.hub_environment)
    wanted = Wanted(
        python=python,
        script=f"{scene.hub_environment}/bin/jupyterhub",
        arguments=scene.command.arguments if scene.command else [],
        db_url=copy.url(installed_version(scene.hub_environment, "sqlalchemy") or ""),
        base_url=config.base_url,
        proxy=_proxy(rehearsal, scene, config, python),
        single_user=_single_user(scene, config),
        # It runs as the hub's user, for a rehearsal has no users.
        single_user_arguments=["--allow-root"] if scene.context.uid == 0 else [],
        scopes=checks.SCOPES,
        seconds=scene.start_timeout,
    )
    scene.progress(f"Starting JupyterHub {scene.version} on the copy")
    began = time.monotonic()
    with rehearsed_hub.booted(wanted, scene.staged_context, folder) as hub:
        try:
            rehearsal.version = hub.wait_until_it_answers(scene.start_timeout)
        except rehearsed_hub.NoAnswer as error:
            rehearsal.findings.append(kinds.NO_ANSWER.found(f"{error.message}\n{hub.log_end()}"))
        except rehearsed_hub.HubExited as error:
            _exited(rehearsal, scene, error, hub.log())
        else:
            rehearsal.timings["start"] = round(time.monotonic() - began, 3)
            _ask(rehearsal, scene, config, hub, copy)
            rehearsal.timings["stop"] = round(hub.stop(), 3)
        _read_log(rehearsal, scene, config, hub)


def _proxy(rehearsal: Rehearsal, scene: Scene, config: LoadedConfig, python: str) -> dict[str, Any] | None:
    try:
        proxy = rehearsed_hub.proxy_of(config.proxy, python, scene.staged_context, scene.staged)
    except HubError as error:
        rehearsal.findings.append(PROXY_NOT_FOUND.found(error.message))
        return None
    if proxy is None:
        found = f"The proxy ({config.proxy.class_name}) is not one that the hub starts for itself."
        rehearsal.findings.append(kinds.PROXY_NOT_REHEARSED.found(found))
    return proxy


def _place_of_servers(scene: Scene, config: LoadedConfig) -> str:
    """The environment that single-user servers come from; the hub's where the command does not tell."""
    found = scene.context.sees_host and environment_of_command(config.spawner.command, scene.context.path)
    return (found or str(scene.deployment.hub_environment.path)).rstrip("/")


def _single_user(scene: Scene, config: LoadedConfig) -> list[str]:
    """The command of single-user servers, in the staged environment."""
    place = _place_of_servers(scene, config)
    folder = scene.staged.get(place, place)
    words = config.spawner.command
    named = [os.path.basename(word) for word in words]
    rest = words[named.index(SINGLE_USER) + 1 :] if SINGLE_USER in named else []
    return [f"{folder}/bin/python", f"{folder}/bin/{SINGLE_USER}", *rest]


def _exited(rehearsal: Rehearsal, scene: Scene, error: HubError, log: list[str]) -> None:
    """Say why the hub has not started, as well as its log tells."""
    text = "\n".join(log)
    kind, fix = kinds.START, ""
    if "invalid cookie_secret_file" in text:
        kind = COOKIE_SECRET_MODE
        fix = f"chmod 600 {scene.deployment.secrets.cookie_secret_file.path}"
    elif "encryption is not available" in text:
        fix = "Give the service JUPYTERHUB_CRYPT_KEY, as it was when auth_state was written."
    elif "Failed to start proxy" in text or "Proxy failed to start" in text:
        kind = kinds.PROXY
    rehearsal.findings.append(kind.found(f"{error.message}\n{logs.end(log)}", fix))


def _ask(
    rehearsal: Rehearsal, scene: Scene, config: LoadedConfig, hub: RehearsedHub, copy: DatabaseCopy
) -> None:
    """Ask the hub all that can be asked; the first question that has no good answer is the last."""
    if rehearsal.version != scene.version:
        found = f"The new hub says that it is version {rehearsal.version}, not {scene.version}."
        rehearsal.findings.append(kinds.OTHER_VERSION.found(found))
    server = functools.partial(_ask_for_server, config)
    for kind, question in (
        (kinds.DATABASE, _ask_for_users),
        (kinds.LOG_IN, _ask_to_log_in),
        (kinds.LOG_IN, _post_as_another_site),
        (kinds.DATABASE, _ask_for_auth_state),
        (kinds.SPAWN, server),
    ):
        mark = len(hub.log())
        try:
            question(rehearsal, scene, hub, copy)
        except HubError as error:
            cause = _first_exception(hub.log()[mark:])
            rehearsal.findings.append(kind.found(f"{error.message}{cause}\n{hub.log_end()}", error.hint))
            return


def _first_exception(lines: list[str]) -> str:
    """What has failed first, since what comes after it may fail for that reason, and be longer."""
    errors = [line for line in logs.sort_out(lines).errors if logs.EXCEPTION.match(line)]
    return f" It logged: {errors[0]}" if errors else ""


def _ask_for_users(rehearsal: Rehearsal, scene: Scene, hub: RehearsedHub, copy: DatabaseCopy) -> None:
    scene.progress("Asking the new hub for its users")
    rehearsal.sys_executable = checks.interpreter(hub)
    # Without the user of the rehearsal.
    there = copy.contents().rows["users"] - 1
    users = checks.users(hub)
    if users != there:
        raise HubError(f"The new hub knows {users} users, but there are {there} in its database.")


def _ask_to_log_in(rehearsal: Rehearsal, scene: Scene, hub: RehearsedHub, copy: DatabaseCopy) -> None:
    with rehearsal.timed("log in"):
        checks.log_in(hub)


def _post_as_another_site(rehearsal: Rehearsal, scene: Scene, hub: RehearsedHub, copy: DatabaseCopy) -> None:
    posts = hub.known().get("posts", [])
    rehearsal.refused_posts = [path for path in posts if checks.refuses_post(hub, path)]
    statuses = {path: checks.failure_of_page(hub, path) for path in hub.known().get("pages", [])}
    rehearsal.failing_pages = {path: status for path, status in statuses.items() if status}


def _ask_for_auth_state(rehearsal: Rehearsal, scene: Scene, hub: RehearsedHub, copy: DatabaseCopy) -> None:
    names = copy.users_with_auth_state(AUTH_STATES)
    if not names or not hub.known().get("enable_auth_state"):
        return
    unreadable = checks.unreadable_auth_states(hub, names)
    if unreadable == names:
        found = f"The new hub cannot decrypt the auth_state of {', '.join(names)}."
        rehearsal.findings.append(kinds.AUTH_STATE.found(found))


def _ask_for_server(
    config: LoadedConfig, rehearsal: Rehearsal, scene: Scene, hub: RehearsedHub, copy: DatabaseCopy
) -> None:
    place = _place_of_servers(scene, config)
    folder = scene.staged.get(place, place)
    if not can_serve(folder) and not can_serve(place):
        found = f"{place} has neither {' nor '.join(SERVERS)}, today as well."
        rehearsal.findings.append(kinds.SPAWN_NOT_REHEARSED.found(found))
        return
    if scene.context.uid == 0 and owner_of(place):
        found = f"{place} is not root's, and the rehearsal's hub would start servers of it as root."
        rehearsal.findings.append(kinds.SPAWN_NOT_REHEARSED.found(found))
        return
    scene.progress("Starting a server of the new version")
    with rehearsal.timed("spawn"):
        token = checks.log_in(hub)
        try:
            started = checks.start_server(hub, token, scene.start_timeout)
        except HubError as error:
            hint = f"Check the packages of {folder}; jupyterhub_user_packages installs more."
            raise HubError(error.message, hint) from error
        rehearsal.single_user_version = started
    with rehearsal.timed("stop of a server"):
        checks.stop_server(hub, scene.start_timeout)


def _read_log(rehearsal: Rehearsal, scene: Scene, config: LoadedConfig, hub: RehearsedHub) -> None:
    """Findings from the log of the new hub and of the loading of its config."""
    sorted_log = logs.sort_out(hub.log())
    rehearsal.deprecated = sorted_log.deprecated
    before = {_option(line) for line in scene.deployment.config.warnings}
    unrecognized = logs.sort_out(config.warnings).unrecognized + hub.known().get("unrecognized", [])
    lines = dict.fromkeys([*sorted_log.unrecognized, *unrecognized])
    new = [line for line in lines if _option(line) not in before]
    access = [line for line in new if ACCESS.search(line)]
    rest = [line for line in new if line not in access]
    if access:
        rehearsal.findings.append(ALLOW_OPTION_GONE.found(" ".join(access)))
    if rest:
        rehearsal.findings.append(CONFIG_OPTION_GONE.found(" ".join(rest)))
    if sorted_log.access:
        rehearsal.findings.append(NO_ALLOW_RULE.found(sorted_log.access[0]))
    if sorted_log.errors and not any(finding.severity == BLOCKER for finding in rehearsal.findings):
        shown = sorted_log.errors[:MOST_LINES]
        more = (
            f" And {len(sorted_log.errors) - len(shown)} more." if len(sorted_log.errors) > len(shown) else ""
        )
        rehearsal.findings.append(kinds.ERRORS.found(f"The new hub logs: {' '.join(shown)}{more}"))


def _option(line: str) -> str:
    """The option that a complaint is about: ``Config option `x` not recognized by `Y`.``"""
    found = re.search(r"onfig option [`'\"]?([\w.]+)", line)
    return found[1].rpartition(".")[2] if found else line
