"""The plan of a move: the hub's database goes to another one, and everything else stays as it is."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..databases import urls
from ..databases.access import DatabaseConfig
from ..databases.facts import DatabaseFacts
from ..databases.kinds import KINDS, find_database
from ..databases.moving import Target
from ..deployment import config_file
from ..deployment.config_file import Assignment
from ..deployment.database import database_of, keep_access
from ..deployment.model import Deployment
from ..environments.installer import InstallerOptions
from ..errors import HubError
from ..services.kinds import service_of
from ..system import files, state
from . import host, running_servers
from .findings import database, database_server, disk_space, kinds, proxy, service
from .findings import moving as findings
from .findings.finding import BLOCKER, WARNING, Finding, listing
from .plan import MOVE, NOTHING, Move, Plan
from .target import find_target
from .upgrade import Policy, Upgrade, bytes_needed

LOCK_SECONDS = 10
#: In the state folder, for the time of a run and for its owner alone: how the new database is reached.
FOLDER = "move"
FILE = "target.json"
#: What an outage needs of a hub, whatever it is for.
SUBJECTS = (database, database_server, proxy, service, disk_space)


def plan(
    deployment: Deployment, url: str, *, write_config: bool, policy: Policy, base: str | None = None
) -> Plan:
    """The plan of a move to the database at ``url``, with all that speaks against it.

    ``write_config`` is the permission to change the hub's config. Reads the host and the new database, and
    writes nothing. Raises HubError for what no plan can be made of.
    """
    kinds.require_known(policy.accept)
    looked = host.look(deployment, base, "", policy.verify_user)
    version = deployment.jupyterhub
    here = urls.mask(url) == deployment.database.url
    upgrade = Upgrade(
        deployment, find_target(deployment, version, InstallerOptions()), looked, policy, changes=not here
    )
    found = [finding for subject in SUBJECTS for finding in subject.check(upgrade)]
    move = None
    if not here:
        target = target_of(deployment, url, state.state_folder(deployment.name, base))
        new = find_new(deployment, target)
        found += _of_databases(deployment, target, new)
        line = _line(deployment, found)
        move = Move(
            database=replace(new, exists=True, revision=deployment.database.revision, rows=None),
            config_file=str(line.file) if line else "",
            diff=line.diff(url) if line else "",
        )
        found += _of_server(replace(upgrade, deployment=moved(deployment, move)))
        found += _of_config(line, url, write_config)
    return Plan(
        from_version=version,
        to_version=version,
        action=NOTHING if here else MOVE,
        outage=not here,
        environments=(),
        migrate=False,
        intermediate_versions=(),
        state_folder=looked.state_folder,
        recovery_point_folder=f"{looked.state_folder}/recovery",
        bytes_needed=bytes_needed(deployment, looked, ()),
        findings=tuple(kinds.judge(found, policy.accept)),
        steps=_steps(deployment, move, looked.state_folder) if move else (),
        move=move,
        running_servers="" if here else running_servers.chosen(upgrade),
    )


def target_of(deployment: Deployment, url: str, folder: Path) -> Target:
    """The database at ``url`` as the hub's own Python reaches it; ``folder`` is the hub's state folder."""
    return Target(
        url=url,
        owner=f"{socket.gethostname()}:{folder}",
        environment=deployment.hub_environment.path,
        context=service_of(deployment.service).context(),
    )


def moved(deployment: Deployment, move: Move) -> Deployment:
    """The deployment as a move is going to leave it."""
    return replace(deployment, database=move.database)


def remember(folder: Path, deployment: Deployment, target: Target) -> None:
    """Keep for the host's own programs where a run moves the database to.

    ``folder`` is the state folder, ``deployment`` as the move is going to leave it.
    """
    state.make_private(folder / FOLDER)
    keep_access(deployment, folder / FOLDER, DatabaseConfig(target.url))
    files.write(folder / FOLDER / FILE, json.dumps({"url": target.url}).encode())


def remembered(folder: Path, deployment: Deployment) -> Target | None:
    """Where the run moves the database to; None where it has not come to that."""
    try:
        url = json.loads((folder / FOLDER / FILE).read_text(encoding="utf-8"))["url"]
    except FileNotFoundError:
        return None
    return target_of(deployment, url, folder)


def settle(folder: Path, deployment: Deployment, is_moved: bool) -> None:
    """End the move of a run: what it has made stays where the hub ``is_moved``, and is removed otherwise.

    Raises HubError when the new database cannot be reached.
    """
    target = remembered(folder, deployment)
    if target is None:
        return
    if is_moved:
        target.release()
    else:
        target.empty()
    shutil.rmtree(folder / FOLDER)


def find_new(deployment: Deployment, target: Target) -> DatabaseFacts:
    """The new database as the hub's config is going to name it."""
    sqlalchemy = deployment.hub_environment.packages.get("sqlalchemy", "")
    return find_database(DatabaseConfig(target.url), target.context, sqlalchemy, LOCK_SECONDS)


def _of_databases(deployment: Deployment, target: Target, new: DatabaseFacts) -> Iterator[Finding]:
    """What speaks against the new database, and against what is moved there."""
    broken = deployment.database.broken_references
    if broken:
        rows = ", ".join(f"{table}: {count}" for table, count in sorted(broken.items()))
        yield findings.MOVE_BROKEN_REFERENCES.found(
            f"Rows of {deployment.database.name} refer to nothing ({rows})."
        )
    if new.kind not in KINDS:
        yield findings.MOVE_NOT_SUPPORTED.found(
            f"The new database {new.url} is none of {', '.join(sorted(KINDS))}."
        )
        return
    sqlalchemy = deployment.hub_environment.packages.get("sqlalchemy", "")
    try:
        content = target.look()
        views = target.look(database_of(deployment).url(sqlalchemy)).views
    except HubError as error:
        yield findings.MOVE_NOT_REACHABLE.found(f"The new database cannot be opened. {error.message}")
        return
    if new.exists and new.problem:
        yield findings.MOVE_NOT_REACHABLE.found(f"The new database cannot be opened. {new.problem}")
    if views:
        yield findings.MOVE_VIEWS.found(f"{deployment.database.name} has views: {listing(views)}.")
    if content.owner == target.owner:
        yield findings.MOVE_LEFTOVER.found(f"{new.name} has what an earlier move of this hub has left.")
    elif content.tables:
        yield findings.MOVE_NOT_EMPTY.found(f"{new.name} has tables: {listing(content.tables)}.")


def _of_server(upgrade: Upgrade) -> Iterator[Finding]:
    """What is to be known of the new server: the move needs its clients, and later upgrades the rest."""
    for finding in database_server.check(upgrade):
        needed = finding.severity != BLOCKER or finding.id == database_server.DATABASE_CLIENTS_MISSING.id
        yield finding if needed else replace(finding, severity=WARNING)


def _line(deployment: Deployment, found: list[Finding]) -> Assignment | None:
    """The line of the config; None where it cannot be changed, which is added to what was ``found``."""
    try:
        return line_of(deployment)
    except HubError as error:
        found.append(findings.MOVE_CONFIG_LINE.found(error.message, fix=error.hint))
        return None


def line_of(deployment: Deployment) -> Assignment:
    """The line of the hub's config that names its database. Raises HubError as `config_file.find`."""
    options = deployment.config.options.get("JupyterHub", [])
    return config_file.find(deployment.config.files, deployment.database.url, options)


def _of_config(line: Assignment | None, url: str, write_config: bool) -> Iterator[Finding]:
    if line is None:
        return
    if not write_config:
        yield findings.MOVE_CONFIG_NOT_WRITTEN.found(
            f"This change is needed, and not allowed:\n{line.diff(url)}\n"
        )
    if line.is_open and urls.mask(url) != url:
        yield findings.MOVE_CONFIG_OPEN.found(f"{line.file} may be read by everybody on the host.")


def _steps(deployment: Deployment, move: Move, state_folder: str) -> tuple[str, ...]:
    """The plan as sentences."""
    old, new, service_name = deployment.database.name, move.database.name, deployment.service.name
    return (
        f"Copy all rows of {old} to {new} once, as a rehearsal, and start a hub on them; empty {new} again.",
        f"Make a recovery point in {state_folder}/recovery.",
        f"Stop {service_name} and keep it down. The outage begins.",
        f"Back up {old} once more.",
        f"Copy all rows to {new}, and compare them.",
        f"Change {move.config_file}: c.{config_file.OPTION} names {move.database.url}.",
        f"Start {service_name}. The outage ends when it answers.",
        f"Verify the hub; if anything has failed, restore {move.config_file}, start the old hub on {old}, "
        f"and empty {new}.",
    )
