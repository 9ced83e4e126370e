"""A redeployment: planned, carried out step by step, resumed where it stopped, and told."""

from __future__ import annotations

import getpass
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import HubError
from ..planning.findings.finding import BLOCKER, SEVERITIES, Finding, sentence
from ..releases.versions import parse_release
from . import config as configs
from . import findings, record
from .config import Config
from .record import Done, Redeployment
from .site import Site
from .steps.base import Result, Step, Work
from .steps.kinds import STEPS
from .steps.roll_back import ROLLBACK
from .versions import gets_keycloak, redeployments

NOT_NEEDED = "not needed: no version on the way needs a redeployment"
#: What the record of a redeployment that has begun keeps as it was, and how the inventory calls it.
_FIXED = {"folder": "qhub_folder", "to_version": "qhub_version"}


@dataclass(frozen=True)
class PlannedStep:
    """A step of the plan; `why` says why a step that was carried out comes again."""

    name: str
    title: str
    state: str
    """``done``, ``next``, ``later`` or ``again``."""
    at: str = ""
    by: str = ""
    evidence: dict[str, str] | None = None
    why: str = ""
    failed: str = ""
    """When, and why its last attempt has failed; empty where it has not."""


@dataclass(frozen=True)
class Plan:
    """RETURN of ``qhub_plan`` says what each field means."""

    domain: str
    provider: str
    from_version: str
    to_version: str
    users: int
    begun: bool
    steps: tuple[PlannedStep, ...]
    findings: tuple[Finding, ...]
    callback_url: str
    destruction_begun: str = ""
    rollback: tuple[PlannedStep, ...] = ()
    """The steps of the way back, once it has begun."""


def plan(site: Site) -> Plan:
    """What will happen, what was done, and what is missing. Nothing is changed."""
    config = configs.read(site.path)
    kept = site.kept_in(config.get("domain"))
    last = record.read(kept)
    begun = None if last and _is_over(last) else last
    site = _complete(site, last)
    redeployment = begun or _new(site, config)
    _require_same(site, redeployment)
    redeployed = redeployments(redeployment.from_version, redeployment.to_version, redeployment.provider)
    found = () if begun else findings.check(site, config, redeployed)
    work = Work(site, redeployment, kept)
    return Plan(
        domain=redeployment.domain,
        provider=redeployment.provider,
        from_version=redeployment.from_version,
        to_version=redeployment.to_version,
        users=len(config.children("security", "users")) if config.has("security", "users") else 0,
        begun=begun is not None,
        steps=tuple(_planned(work)),
        findings=tuple(sorted(found, key=lambda each: SEVERITIES.index(each.severity))),
        callback_url=findings.callback_url(config),
        destruction_begun=begun.destruction_begun if begun else "",
        rollback=_planned_rollback(last) if last and last.rollback_begun else (),
    )


def _is_over(begun: Redeployment) -> bool:
    """Whether the old site has its domain again: the next run begins another redeployment."""
    return {step.name for step in begun.rollback} == {step.name for step in ROLLBACK}


def _complete(site: Site, begun: Redeployment | None) -> Site:
    """The same with the version that is on its way, where the inventory has none."""
    if site.version:
        return replace(site, version=str(parse_release(site.version)))
    if begun is None:
        raise HubError(
            f"No redeployment of {site.folder} has begun, and no version is wanted.", "Name it: qhub_version."
        )
    return replace(site, version=begun.to_version)


def _new(site: Site, config: Config) -> Redeployment:
    return Redeployment(
        format=record.FORMAT,
        folder=str(site.path.resolve()),
        domain=config.get("domain"),
        provider=config.get("provider"),
        from_version=site.from_version(config),
        to_version=site.version,
        old_project=config.get("project_name"),
    )


def _require_same(site: Site, begun: Redeployment) -> None:
    """Raises HubError where the inventory has changed what a redeployment that has begun rests on."""
    wanted = {"folder": str(site.path.resolve()), "to_version": site.version}
    for name, variable in _FIXED.items():
        was = getattr(begun, name)
        if was != wanted[name]:
            raise HubError(
                f"The redeployment of {begun.domain} was begun with {variable} {was}, not {wanted[name]}.",
                f"Go on with {variable}: {was}. To begin another one, move the record away: "
                f"{site.kept_in(begun.domain) / record.NAME}.",
            )


def _steps(redeployment: Redeployment) -> list[Step]:
    """Those that the way from the old to the new version takes."""
    redeployed = redeployment.needs_second_site
    keycloak = gets_keycloak(redeployment.from_version, redeployment.to_version)
    return [
        step
        for step in STEPS
        if (redeployed or not step.only_redeployed) and (keycloak or not step.only_with_keycloak)
    ]


def _planned(work: Work) -> list[PlannedStep]:
    planned = []
    is_next = "next"
    for step in _steps(work.record):
        done = work.record.done(step.name)
        # Once the old cluster is gone nothing before can be done again, and nothing has to be.
        why = step.undone(work, done.evidence) if done and not work.record.destruction_begun else ""
        if done and not why:
            planned.append(PlannedStep(step.name, step.title, "done", done.at, done.by, done.evidence))
            continue
        state, failed = "again" if why else is_next, _failure(work.record, step)
        planned.append(PlannedStep(step.name, step.title, state, why=why, failed=failed))
        is_next = "later"
    return planned


def _planned_rollback(begun: Redeployment) -> tuple[PlannedStep, ...]:
    planned = []
    is_next = "next"
    for step in ROLLBACK:
        done = begun.done(step.name)
        if done:
            planned.append(PlannedStep(step.name, step.title, "done", done.at, done.by, done.evidence))
        else:
            planned.append(PlannedStep(step.name, step.title, is_next, failed=_failure(begun, step)))
            is_next = "later"
    return tuple(planned)


def _failure(begun: Redeployment, step: Step) -> str:
    failed = begun.failed
    if failed is None or failed.name != step.name:
        return ""
    return f"failed at {failed.at} by {failed.by}: {failed.message}"


@dataclass(frozen=True)
class Taken:
    """What became of a step."""

    name: str
    changed: bool
    message: str
    result: Result | None = None


def take(site: Site, name: str, check: bool = False) -> Taken:
    """Carry out a step, unless it is done. Raises HubError before its turn, and where its gate is shut."""
    config = configs.read(site.path)
    kept = site.kept_in(config.get("domain"))
    take_it = _go_back if name in [step.name for step in ROLLBACK] else _take
    if take_it is _take and not plan(site).begun:
        _require_none(plan(site).findings)
    if check:
        return take_it(site, config, kept, name, check=True)
    with record.locked(kept):
        return take_it(site, config, kept, name, check=False)


def ready(site: Site, name: str) -> Taken:
    """Only look whether a step can be carried out. Raises HubError before its turn, and where it cannot."""
    config = configs.read(site.path)
    kept = site.kept_in(config.get("domain"))
    begun = record.read(kept)
    if begun is None or begun.rollback_begun:
        raise HubError(
            f"No redeployment of {config.get('domain')} is under way.",
            "Run the playbook qhub_redeploy first.",
        )
    work = Work(_complete(site, begun), begun, kept)
    _require_same(work.site, begun)
    planned = {each.name: each for each in _planned(work)}
    if name not in planned:
        return Taken(name, False, NOT_NEEDED)
    _require_turn(planned, name)
    next(each for each in STEPS if each.name == name).require(work)
    return Taken(name, False, "can be carried out")


def _require_turn(planned: dict[str, PlannedStep], name: str) -> None:
    """Raises HubError where an earlier step is not done."""
    names = list(planned)
    earlier = [each for each in names[: names.index(name)] if planned[each].state != "done"]
    if earlier:
        why = planned[earlier[0]].why
        raise HubError(
            f"The step {name} comes after {', '.join(earlier)}" + (f" ({why})." if why else "."),
            f"Take that first: the playbook qhub_redeploy goes on with {earlier[0]}.",
        )


def _take(site: Site, config: Config, kept: Path, name: str, check: bool) -> Taken:
    begun = record.read(kept)
    if begun and _is_over(begun):
        if not check:
            record.put_away(kept, begun)
        site, begun = _complete(site, begun), None
    elif begun and begun.rollback_begun:
        raise HubError(
            f"A rollback was begun at {begun.rollback_begun}, and has not ended.",
            "Run the playbook qhub_rollback to its end; afterwards another redeployment can begin.",
        )
    site = _complete(site, begun)
    redeployment = begun or _new(site, config)
    _require_same(site, redeployment)
    work = Work(site, redeployment, kept)
    planned = {each.name: each for each in _planned(work)}
    if name not in planned:
        return Taken(name, False, NOT_NEEDED)
    if planned[name].state == "done":
        return Taken(name, False, f"done at {planned[name].at}")
    if check:
        return Taken(name, True, "would be carried out")
    _require_turn(planned, name)
    step = next(each for each in STEPS if each.name == name)
    try:
        step.require(work)
        if step.final:
            redeployment = redeployment.with_destruction()
            record.write(kept, redeployment)
        done, result = _carry_out(step, work)
    except HubError as error:
        # Before the first step was carried out nothing has begun.
        if begun:
            record.write(kept, redeployment.with_failure(name, error.message))
        raise
    record.write(kept, redeployment.with_step(done))
    return Taken(name, True, "carried out", result)


def _carry_out(step: Step, work: Work) -> tuple[Done, Result]:
    """Carry out a step, and note when and by whom."""
    began = time.monotonic()
    result = step.carry_out(work)
    seconds = round(time.monotonic() - began, 1)
    return Done(step.name, record.now(), getpass.getuser(), seconds, result.evidence), result


def _go_back(site: Site, config: Config, kept: Path, name: str, check: bool) -> Taken:
    """Carry out a step of the way back, unless it is done."""
    begun = record.read(kept)
    if begun and begun.evidence("back_up") and not begun.needs_second_site:
        raise HubError(
            f"{begun.domain} is upgraded in place: there is no old site that could have the domain.",
            f"Deploy {configs.NAME}.before-{begun.to_version} of its folder with QHub {begun.from_version}; "
            "what users have had is in the backups.",
        )
    if begun is None or not begun.evidence("back_up"):
        raise HubError(
            f"No redeployment of {config.get('domain')} has begun: its site has its domain.",
            "There is nothing to go back to.",
        )
    if begun.destruction_begun:
        raise HubError(
            f"The old cluster is being destroyed, or is destroyed, since {begun.destruction_begun}.",
            "There is no old site to go back to. Its data are in the backups: "
            + ", ".join(begun.evidence("back_up")[name] for name in ("user_data", "hub_database"))
            + ".",
        )
    site = _complete(site, begun)
    _require_same(site, begun)
    work = Work(site, begun, kept)
    planned = {each.name: each for each in _planned_rollback(begun)}
    if planned[name].state == "done":
        return Taken(name, False, f"done at {planned[name].at}")
    if check:
        return Taken(name, True, "would be carried out")
    if planned[name].state == "later":
        raise HubError(f"The step {name} comes after {ROLLBACK[0].name}.", "Run the playbook qhub_rollback.")
    step = next(each for each in ROLLBACK if each.name == name)
    try:
        step.require(work)
        if not begun.rollback_begun:
            begun = begun.with_rollback()
            record.write(kept, begun)
        done, result = _carry_out(step, replace(work, record=begun))
    except HubError as error:
        record.write(kept, begun.with_failure(name, error.message))
        raise
    record.write(kept, begun.with_rollback(done))
    return Taken(name, True, "carried out", result)


def _require_none(found: tuple[Finding, ...]) -> None:
    """Raises HubError with all blockers."""
    blockers = [each for each in found if each.severity == BLOCKER]
    if blockers:
        raise HubError(
            f"{len(blockers)} blocker(s), and nothing was changed: " + " ".join(map(sentence, blockers)),
            "qhub_plan lists them.",
        )


def lines(plan: Plan) -> list[str]:
    """The plan for people, verdict first."""
    done = sum(step.state == "done" for step in plan.steps)
    blockers = sum(finding.severity == BLOCKER for finding in plan.findings)
    state = f"{done} of {len(plan.steps)} steps done" if plan.begun else f"not begun, {blockers} blockers"
    shown = [
        f"QHub {plan.from_version} -> {plan.to_version} at https://{plan.domain} ({plan.provider}): {state}"
    ]
    shown += [f"  {finding.severity}: {sentence(finding)}" for finding in plan.findings]
    for step in plan.steps:
        shown += _step_lines(step, "")
    for step in plan.rollback:
        shown += _step_lines(step, "rollback, ")
    if plan.callback_url:
        shown.append(f"  callback URL of the new site: {plan.callback_url}")
    return shown


def _step_lines(step: PlannedStep, mark: str) -> list[str]:
    """A step for people, with its evidence, or why its last attempt has failed."""
    ended = f" at {step.at} by {step.by}" if step.at else f": {step.why}" if step.why else ""
    state = f"{mark}{step.state}:" if mark else f"{step.state:5}"
    shown = [f"  {state} {step.title}{ended}"]
    shown += [f"          {name}: {value}" for name, value in (step.evidence or {}).items() if value]
    shown += [f"          {line}" for line in step.failed.splitlines()]
    return shown
