"""The plans of an upgrade as a document: what a change board reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..environments.planned import PackageChange
from ..pages.blocks import BAD, CALM, GOOD, WARN, Block, Facts, Figures, Items, Notice, Table, Text
from ..pages.document import Document, Section
from ..pages.timeline import Bar, Timeline, duration
from .findings.finding import BLOCKER, NOTE, SEVERITIES, WARNING, Finding, frequent, listing
from .plan import NOTHING, Plan

_TONES = {BLOCKER: BAD, WARNING: WARN, NOTE: CALM}
#: The parts of a rehearsal that an upgrade has in its outage, in their order.
_OUTAGE = ("stop", "copy", "migrate", "start")
#: Of more hubs only the first are named.
_NAMES = 8


def document(plans: dict[str, Plan], made: str, by: str) -> Document:
    """The plans by their hosts; ``made`` is a date and time, ``by`` who made them."""
    versions = {f"{plan.from_version} \N{RIGHTWARDS ARROW} {plan.goal}" for plan in plans.values()}
    found = Counter(finding.severity for plan in plans.values() for finding in plan.findings)
    tone = next((_TONES[severity] for severity in SEVERITIES[:2] if found[severity]), GOOD)
    several = len(plans) > 1
    return Document(
        subject=f"Plan for {listing(list(plans), _NAMES)}, to be reviewed",
        title=f"JupyterHub {', '.join(sorted(versions))}",
        verdict=_verdict(plans, found),
        tone=tone,
        sections=(
            *(_of_all(plans) if several else ()),
            *(
                Section(f"{host}: {section.title}" if several else section.title, section.blocks)
                for host, plan in plans.items()
                for section in _sections(host, plan)
            ),
        ),
        made=f"hubops.jupyterhub, planned {made} by {by}",
    )


def _of_all(plans: dict[str, Plan]) -> tuple[Section, ...]:
    """What a review of many hubs begins with: a row for each, and what concerns many."""
    rows = tuple(
        (
            host,
            plan.from_version,
            plan.goal,
            _away(plan),
            *(str(sum(each.severity == severity for each in plan.findings)) for severity in SEVERITIES[:2]),
        )
        for host, plan in plans.items()
    )
    hubs = Table(("hub", "from", "to", "expected outage", "blockers", "warnings"), rows, numbers=(3, 4, 5))
    found = frequent((host, each) for host, plan in plans.items() for each in plan.findings)
    return (
        Section("All hubs", (hubs,)),
        Section(
            "Findings by frequency", tuple(shared_by(finding, hosts, len(plans)) for finding, hosts in found)
        ),
    )


def _verdict(plans: dict[str, Plan], found: Counter[str]) -> str:
    changed = sum(plan.action != NOTHING for plan in plans.values())
    hubs = f"{changed} of {len(plans)} hubs would change" if len(plans) > 1 else "The hub would change"
    blockers, warnings = found[BLOCKER], found[WARNING]
    nothing = "Nothing is to be done" if not changed else hubs
    return (
        f"{nothing}: {blockers or 'no'} blocker{'' if blockers == 1 else 's'}, "
        f"{warnings or 'no'} warning{'' if warnings == 1 else 's'}. Nothing was changed yet."
    )


def _sections(host: str, plan: Plan) -> tuple[Section, ...]:
    return (
        Section("In short", _summary(host, plan)),
        Section("What stands in the way, and what to know", findings_blocks(plan.findings)),
        Section("Steps", (Items(plan.steps, numbered=True),) if plan.steps else ()),
        Section("The outage as it was rehearsed", _outage(plan)),
        Section("Environments", _environments(plan)),
        Section("Left as they are", tuple(Notice(WARN, "left out", e.path, e.why) for e in plan.left_out)),
        *(
            Section(f"Packages of {path}", (packages_table(changed),) if changed else ())
            for path, changed in (plan.packages or {}).items()
        ),
    )


def _summary(host: str, plan: Plan) -> tuple[Block, ...]:
    packages = plan.packages
    changed = None if packages is None else sum(len(each) for each in packages.values())
    found = Counter(finding.severity for finding in plan.findings)
    figures = (
        (_away(plan), "expected outage"),
        ("not known" if changed is None else str(changed), "package changes"),
        (str(found[BLOCKER]), "blockers"),
        (str(found[WARNING]), "warnings"),
    )
    migration = {True: "yes", False: "no", None: "not known before the new version is staged"}[plan.migrate]
    space = ", ".join(f"{path}: {size / 10**6:,.0f} MB" for path, size in plan.bytes_needed.items())
    return (
        Figures(figures),
        Facts(
            (
                ("Host", host),
                ("From", plan.from_version),
                ("To", plan.goal),
                ("Database migrated", migration),
                ("Migration through", ", ".join(each.version for each in plan.intermediate_versions)),
                ("Disk space", space),
                ("Recovery point in", plan.recovery_point_folder),
                ("If it fails", "The old hub is restored by the host, and verified."),
            )
        ),
    )


def _away(plan: Plan) -> str:
    seconds = plan.expected_outage_seconds
    return "none" if not plan.outage else "not known" if seconds is None else duration(seconds)


def shared_by(finding: Finding, hosts: Sequence[str], hubs: int) -> Notice:
    """A finding that some of so many hubs have."""
    return Notice(
        _TONES[finding.severity],
        f"{finding.severity} {finding.id}",
        f"{len(hosts)} of {hubs} hubs: {listing(list(hosts), _NAMES)}",
        f"As on {hosts[0]}: {finding.found}",
        finding.fix,
    )


def findings_blocks(findings: Iterable[Finding]) -> tuple[Block, ...]:
    """Findings, blockers first."""
    ranked = sorted(findings, key=lambda each: SEVERITIES.index(each.severity))
    return tuple(
        Notice(_TONES[each.severity], f"{each.severity} {each.id}", each.found, each.why, each.fix)
        for each in ranked
    )


def packages_table(changed: Sequence[PackageChange]) -> Table:
    """Packages with their versions before and after."""
    rows = tuple((each.name, each.from_ or "none", each.to or "removed") for each in changed)
    return Table(("package", "from", "to"), rows)


def _outage(plan: Plan) -> tuple[Block, ...]:
    """The rehearsal's parts of the outage, to scale."""
    measured = plan.rehearsal_seconds or {}
    bars, at = [], 0.0
    for name in _OUTAGE:
        if measured.get(name):
            bars.append(Bar(name, at, at + measured[name]))
            at += measured[name]
    return (Text("What the steps took on a copy:"), Timeline(tuple(bars))) if bars else ()


def _environments(plan: Plan) -> tuple[Block, ...]:
    if not plan.environments:
        return ()
    rows = tuple(
        (each.path, each.role, each.jupyterhub or "none", ", ".join(each.requirements), each.strategy)
        for each in plan.environments
    )
    return (Table(("environment", "role", "has", "gets", "how"), rows),)
