"""The report of a fleet as files: the JSON, a page for people, Markdown for a ticket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone

from ..pages.blocks import BAD, CALM, GOOD, Block, Code, Figures, Notice, Table
from ..pages.document import Document, Section
from ..pages.timeline import duration
from ..planning.findings.finding import frequent
from ..planning.plan_page import shared_by
from ..shapes import to_dict
from . import other_hosts
from .fleet import WAITING, Fleet, Hub, summary


def contents(fleet: Fleet) -> dict[str, str]:
    """What each file has, by its suffix."""
    page = document(fleet)
    return {
        ".json": json.dumps(to_dict(fleet), indent=2) + "\n",
        ".html": page.html(),
        ".md": page.markdown(),
    }


def document(fleet: Fleet) -> Document:
    """The fleet as a document: a row a hub, what failed, findings by frequency."""
    failed = [hub for hub in fleet.hubs if hub.has_failed]
    waiting = [hub for hub in fleet.hubs if hub.outcome == WAITING]
    wanted = sorted({hub.wanted for hub in fleet.hubs})
    return Document(
        subject="Fleet of JupyterHubs",
        title=f"JupyterHub {', '.join(wanted)}",
        verdict=_verdict(fleet),
        tone=BAD if failed or fleet.stopped else CALM if waiting else GOOD,
        sections=(
            Section("In short", (_figures(fleet.hubs),)),
            Section("What failed", tuple(block for hub in failed for block in _failure(hub))),
            Section("Hubs", (_table(fleet.hubs),) if fleet.hubs else ()),
            Section("Findings by frequency", _findings(fleet.hubs)),
        ),
        made="hubops.jupyterhub, after each hub",
    )


def _verdict(fleet: Fleet) -> str:
    until = f" The next hubs begin not before {_when(fleet.not_before)}." if fleet.not_before else ""
    return f"{summary(fleet)}. {fleet.stopped}".strip() + until


def _when(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC" if moment else ""


def _figures(hubs: Sequence[Hub]) -> Figures:
    outages = [hub.downtime_seconds for hub in hubs if hub.downtime_seconds]
    return Figures(
        (
            (f"{sum(hub.is_done for hub in hubs)} of {len(hubs)}", "hubs done"),
            (str(sum(hub.has_failed for hub in hubs)), "failed"),
            (str(sum(hub.outcome == WAITING for hub in hubs)), "waiting"),
            (duration(max(outages)) if outages else "none", "longest outage"),
        )
    )


def _failure(hub: Hub) -> tuple[Block, ...]:
    return (Notice(BAD, hub.outcome, hub.host), Code(hub.failure or "The host's own report says why."))


def _table(hubs: Sequence[Hub]) -> Table:
    head = ("hub", "batch", "outcome", "versions", "outage", "ended")
    rows = [
        (hub.host, str(hub.batch), hub.outcome, _versions(hub), _outage(hub), _when(hub.ended))
        for hub in hubs
    ]
    if not any(hub.other_hosts for hub in hubs):
        return Table(head, tuple(rows), numbers=(1,))
    more = tuple((*row, other_hosts.summary(hub.other_hosts)) for row, hub in zip(rows, hubs))
    return Table((*head, "other hosts"), more, numbers=(1,))


def _versions(hub: Hub) -> str:
    wanted = hub.to_version or hub.wanted
    return f"{hub.from_version} \N{RIGHTWARDS ARROW} {wanted}" if hub.from_version else wanted


def _outage(hub: Hub) -> str:
    seconds, expected = hub.downtime_seconds, hub.expected_outage_seconds
    took = "" if seconds is None else duration(seconds) if seconds else "none"
    return f"{took} (expected {duration(expected)})" if took and expected else took


def _findings(hubs: Sequence[Hub]) -> tuple[Block, ...]:
    found = frequent((hub.host, each) for hub in hubs for each in hub.findings)
    return tuple(shared_by(finding, hosts, len(hubs)) for finding, hosts in found)
