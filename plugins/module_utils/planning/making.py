"""Makes plans: a pure function of the deployment, the target, the host and the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..deployment.model import Deployment
from ..deployment.server_images import REMOVE
from ..environments.planned import IN_PLACE, REBUILD, REPORT, LeftOut, PlannedEnvironment, PlannedHost
from . import intermediate_versions, running_servers
from .findings import kinds, singleuser_hosts
from .findings.finding import BLOCKER, Finding, sentence
from .found_host import FoundHost
from .plan import NEVER, NOTHING, UPGRADE, WHEN_MIGRATION_FAILS, FallbackPath, Plan
from .upgrade import (
    STAGING_RESERVE_BYTES,
    Host,
    HostUpgrade,
    Policy,
    Target,
    Upgrade,
    UsedEnvironment,
    added_drivers,
    bytes_needed,
    environments_of,
    interpreter_for,
    missing,
    requirements_of,
)


def make_plan(
    deployment: Deployment, target: Target, host: Host, policy: Policy, others: Sequence[FoundHost] = ()
) -> Plan:
    """The plan of an upgrade to ``target``, before anything is staged.

    ``others`` are the hub's other hosts of single-user servers.
    """
    migrate = _migrate(deployment, target)
    environments = tuple(
        _environment_plan(entry, deployment, target, host, policy)
        for entry in environments_of(deployment)
        if missing(entry, target.version, host.installed.get(entry.facts.path, entry.facts.packages), policy)
    )
    elsewhere = tuple(_on_another_host(other, deployment, target, policy) for other in others)
    upgrade = Upgrade(deployment, target, host, policy, environments, elsewhere=elsewhere)
    upgrade = replace(upgrade, changes=bool(migrate) or _has_environments(upgrade))
    if policy.environment_failures == REPORT:
        upgrade = _without_unable(_without_unable_elsewhere(upgrade))
        environments = upgrade.environments
    changes = bool(migrate) or _has_environments(upgrade)
    outage = bool(migrate) or any(entry.role != "user" for entry in environments)
    plan = Plan(
        from_version=upgrade.current,
        to_version=target.version,
        action=UPGRADE if changes else NOTHING,
        outage=outage and changes,
        environments=environments,
        migrate=migrate if changes else False,
        intermediate_versions=intermediate_versions.needed(deployment, target.version, policy.python)
        if changes and migrate is not False
        else (),
        state_folder=host.state_folder,
        recovery_point_folder=f"{host.state_folder}/recovery",
        bytes_needed=bytes_needed(deployment, host, environments),
        findings=tuple(kinds.find(upgrade)),
        steps=(),
        basis=upgrade.basis,
        left_out=upgrade.left_out,
        running_servers=running_servers.chosen(upgrade) if outage and changes else "",
        stale_containers=policy.stale_containers if outage and changes and host.stale_containers else "",
        singleuser_hosts=tuple(
            PlannedHost(each.found.name, each.upgrade.environments)
            for each in upgrade.elsewhere
            if each.upgrade.environments
        ),
    )
    return replace(plan, steps=_steps(deployment, plan))


def _has_environments(upgrade: Upgrade) -> bool:
    """Whether an environment of the hub's host or of another one is changed."""
    return bool(upgrade.environments) or any(each.upgrade.environments for each in upgrade.elsewhere)


def _on_another_host(found: FoundHost, deployment: Deployment, target: Target, policy: Policy) -> HostUpgrade:
    """What is changed on another host; nothing is upgraded in place there."""
    host = Host(
        root=False,
        user=found.user,
        state_folder="",
        environment_bytes=found.environment_bytes,
        python_versions=found.python_versions,
        links={path: [(pair[0], pair[1]) for pair in each] for path, each in found.links.items()},
        mounts=found.mounts,
        installed=found.installed,
    )
    there = replace(deployment, user_environments=list(found.environments))
    staging = replace(policy, strategy="auto")
    entries = tuple(
        _environment_plan(entry, there, target, host, staging)
        for entry in environments_of(there)
        if entry.role == "user" and missing(entry, target.version, host.installed.get(entry.path, {}), policy)
    )
    return HostUpgrade(found, Upgrade(there, target, host, staging, entries, bool(entries)))


def _without_unable_elsewhere(upgrade: Upgrade) -> Upgrade:
    """The same without hosts of which nothing is known, and without their environments that cannot follow."""
    able, left_out = [], [*upgrade.left_out]
    for other in upgrade.elsewhere:
        name, entries = other.found.name, []
        if other.found.problem and not other.found.without_hub:
            left_out.append(LeftOut(name, other.found.problem))
            continue
        for entry in other.upgrade.environments:
            alone = replace(other, upgrade=replace(other.upgrade, environments=(entry,)))
            blocking = [each for each in singleuser_hosts.check_host(alone) if each.severity == BLOCKER]
            if blocking:
                why = " ".join(sentence(each) for each in blocking)
                left_out.append(LeftOut(f"{entry.path} on {name}", why))
            else:
                entries.append(entry)
        able.append(replace(other, upgrade=replace(other.upgrade, environments=tuple(entries))))
    return replace(upgrade, elsewhere=tuple(able), left_out=tuple(left_out))


def _without_unable(upgrade: Upgrade) -> Upgrade:
    """The same without those single-user environments that, each by itself, forbid it."""
    for entry in upgrade.environments:
        if entry.role != "user":
            continue
        deployment = upgrade.deployment
        others = [each for each in deployment.user_environments if each.path.rstrip("/") != entry.path]
        without = replace(
            upgrade,
            deployment=replace(deployment, user_environments=others),
            environments=tuple(each for each in upgrade.environments if each != entry),
        )
        remaining = _blockers(without)
        why = [sentence(each) for each in _blockers(upgrade) if each not in remaining]
        if why:
            left_out = (*upgrade.left_out, LeftOut(entry.path, " ".join(why)))
            upgrade = replace(without, left_out=left_out)
    return upgrade


def _blockers(upgrade: Upgrade) -> list[Finding]:
    return [finding for finding in kinds.find(upgrade) if finding.severity == BLOCKER]


def fallback_path(
    plan: Plan, deployment: Deployment, why: str, fresh_database: str = NEVER
) -> FallbackPath | None:
    """The upgrade through all majors in between, for a plan whose migration has failed in the rehearsal.

    ``why`` says how the migration has failed. Where there is no major in between, or the plan has
    intermediate versions already, it is the upgrade with a fresh database if that may be, and else None.
    """
    path = deployment.hub_environment.path.rstrip("/")
    python = next((entry.python for entry in plan.environments if entry.path == path), "")
    through = intermediate_versions.through_the_majors(deployment, plan.to_version, python, why)
    if through and not plan.intermediate_versions:
        changed = replace(plan, intermediate_versions=through)
    elif fresh_database == WHEN_MIGRATION_FAILS and not plan.fresh_database:
        # It knows no server that runs on.
        stops = plan.running_servers == running_servers.KEEP
        changed = replace(
            plan,
            fresh_database=why,
            running_servers=running_servers.STOP if stops else plan.running_servers,
        )
    else:
        return None
    return FallbackPath(
        changed.intermediate_versions,
        _steps(deployment, changed),
        changed.running_servers,
        changed.fresh_database,
    )


def _migrate(deployment: Deployment, target: Target) -> bool | None:
    """Whether the schema changes; None where that is not known before the target is on the host."""
    revision = deployment.database.revision
    if revision is None or target.schema_head is None:
        return None if target.version != deployment.hub_environment.jupyterhub else False
    return bool(revision != target.schema_head)


def _environment_plan(
    environment: UsedEnvironment, deployment: Deployment, target: Target, host: Host, policy: Policy
) -> PlannedEnvironment:
    """How one environment is upgraded to the target."""
    path, python = environment.path, interpreter_for(environment.facts, policy)
    requirements = requirements_of(environment, target.version, policy)
    imports: tuple[str, ...] = ()
    if environment.role != "user":
        drivers = added_drivers(deployment, host)
        requirements += [driver.requirement for driver in drivers]
        imports = (*_configured_modules(deployment), *(driver.module for driver in drivers))
    return PlannedEnvironment(
        path=path,
        kind=environment.facts.kind,
        role=environment.role,
        strategy=_strategy(path, python, host, policy),
        python=python or environment.facts.python or "",
        staged_path=f"{path}.staged-{target.version}",
        jupyterhub=environment.facts.jupyterhub,
        requirements=tuple(requirements),
        imports=imports,
    )


def _configured_modules(deployment: Deployment) -> tuple[str, ...]:
    """The modules of proxy, spawner and authenticator that packages hold: the new hub imports them."""
    parts = (deployment.proxy, deployment.spawner, deployment.authenticator)
    return tuple(sorted({part.class_name.rpartition(".")[0] for part in parts if part.package}))


def _strategy(path: str, python: str, host: Host, policy: Policy) -> str:
    """``rebuild`` for the interpreter ``python``, ``in_place`` if asked or short of space, else ``copy``."""
    if policy.strategy == IN_PLACE:
        return IN_PLACE
    if python:
        return REBUILD
    parent = path.rpartition("/")[0] or "/"
    free = host.free_bytes.get(parent)
    short = free is not None and free < host.environment_bytes.get(path, 0) + STAGING_RESERVE_BYTES
    return IN_PLACE if short else "copy"


def _steps(deployment: Deployment, plan: Plan) -> tuple[str, ...]:
    """The plan as sentences."""
    if plan.action == NOTHING:
        return (f"Nothing: the hub and its users' environments have JupyterHub {plan.to_version}.",)
    service = deployment.service.name
    steps = []
    for entry in plan.environments:
        if not entry.in_place:
            steps.append(f"Stage {', '.join(entry.requirements)} in {entry.staged_path}.")
    for other in plan.singleuser_hosts:
        for entry in other.environments:
            steps.append(f"Stage {', '.join(entry.requirements)} in {entry.staged_path} on {other.host}.")
    for intermediate in plan.intermediate_versions:
        steps.append(
            f"Stage JupyterHub {intermediate.version} in {intermediate.staged_path}, for the migration: "
            f"{intermediate.why.rstrip('.')}."
        )
    if plan.environments and not _paths(plan, in_place=True):
        steps.append("Rehearse the upgrade on a copy of the database, with the staged environments.")
    steps.append(f"Make a recovery point in {plan.recovery_point_folder}.")
    for other in plan.singleuser_hosts:
        steps += [
            f"Exchange {entry.path} with the staged one on {other.host}." for entry in other.environments
        ]
    if plan.running_servers:
        steps.append(running_servers.SENTENCES[plan.running_servers])
    if plan.outage:
        steps.append(f"Stop {service} and keep it down. The outage begins.")
        steps.append(f"Back up {deployment.database.name} once more.")
    steps += [f"Upgrade {path} in place." for path in _paths(plan, in_place=True)]
    if plan.fresh_database:
        steps.append(
            f"Put a fresh database in the place of {deployment.database.name}, with its users, groups, roles "
            f"and what spawners remember: {plan.fresh_database.rstrip('.')}."
        )
    elif plan.migrate is not False:
        through = "".join(
            f" through JupyterHub {intermediate.version}" for intermediate in plan.intermediate_versions
        )
        steps.append(f"Migrate {deployment.database.name}{through}.")
    steps += [f"Exchange {path} with the staged one." for path in _paths(plan, in_place=False)]
    if plan.outage:
        steps.append(f"Start {service}. The outage ends when it answers as {plan.to_version}.")
    steps.append("Verify the hub; if anything has failed, restore all of the above and start the old hub.")
    if plan.stale_containers == REMOVE:
        steps.append("Once it is accepted, remove containers of users' servers that have an old image.")
    return tuple(steps)


def _paths(plan: Plan, in_place: bool) -> list[str]:
    """The environments that are upgraded in place, or those that are not."""
    return [entry.path for entry in plan.environments if entry.in_place == in_place]
