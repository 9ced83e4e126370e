"""Many hubs, upgraded in batches: which are next, and how each has ended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..errors import HubError
from ..planning.findings.finding import Finding
from ..planning.window import read_window
from ..shapes import from_dict
from .other_hosts import OtherHost

FORMAT = 1
#: What a hub is for its fleet, besides the outcomes of a report.
WAITING, UNREACHABLE = "waiting", "unreachable"
DONE = ("upgraded", "moved", "unchanged")
FAILED = ("restored", "failed", "rolled back", UNREACHABLE)

_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class LastRun:
    """The last run of a hub, of its record; RETURN of ``jupyterhub_status`` says what each field means."""

    outcome: str
    from_version: str | None
    to_version: str | None
    ended: str | None
    downtime_seconds: float | None
    expected_outage_seconds: float | None
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    failure: str
    other_hosts: tuple[OtherHost, ...] = ()

    @classmethod
    def of_report(cls, report: dict[str, Any]) -> LastRun:
        """Of what `report.compose` has made of the run's record."""
        return cls(
            outcome=report["outcome"],
            from_version=report["from_version"],
            to_version=report["to_version"],
            ended=report["ended"],
            downtime_seconds=report["downtime_seconds"],
            expected_outage_seconds=report["expected_outage_seconds"],
            warnings=tuple(report["warnings"]),
            findings=tuple(from_dict(Finding, each) for each in report["findings"]),
            failure=(report["failure"] or {}).get("reason", ""),
            # Reports of earlier versions have none.
            other_hosts=tuple(from_dict(OtherHost, each) for each in report.get("other_hosts", [])),
        )


@dataclass(frozen=True)
class Hub:
    """A row of the fleet's report."""

    host: str
    batch: int
    """From 1; the first are the canaries."""
    wanted: str
    outcome: str = WAITING
    from_version: str | None = None
    to_version: str | None = None
    ended: str | None = None
    downtime_seconds: float | None = None
    expected_outage_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    failure: str = ""
    other_hosts: tuple[OtherHost, ...] = ()
    """How each other host of its servers ended."""
    not_before: str | None = None
    """When its own window opens, where it is closed now; ISO 8601."""

    @property
    def is_done(self) -> bool:
        return self.outcome in DONE

    @property
    def has_failed(self) -> bool:
        return self.outcome in FAILED


@dataclass(frozen=True)
class Fleet:
    """All hubs of a fleet, in the order in which they are upgraded; the file of the fleet's report."""

    hubs: tuple[Hub, ...]
    stopped: str = ""
    """Why no further hub is begun, in a sentence; '' while nothing forbids it."""
    not_before: str | None = None
    """When the next hubs may begin: the batch before has soaked, or a window opens; ISO 8601."""
    format: int = FORMAT


@dataclass(frozen=True)
class Decision:
    """Which hubs are upgraded now."""

    batches: tuple[tuple[str, ...], ...]
    """Hosts, one batch after the other."""
    may_fail: int
    """How many more hubs may fail before no further one is begun."""
    fleet: Fleet


def batches(hosts: Sequence[str], canaries: Sequence[str], sizes: Sequence[Any]) -> list[list[str]]:
    """The hosts in batches: first the canaries, or the first host where none are named, then by ``sizes``.

    A size is a number of hosts, or as in ``25%`` a part of all; the last one is that of all further batches.
    Raises HubError where a size is neither, or a canary no host.
    """
    unknown = [host for host in canaries if host not in hosts]
    if unknown:
        raise HubError(
            f"These canaries are no hubs of this run: {', '.join(unknown)}.",
            "Name hosts in jupyterhub_canaries that jupyterhub_hosts has as well.",
        )
    first = list(canaries) or list(hosts[:1])
    rest = [host for host in hosts if host not in first]
    found = [first] if first else []
    numbers = [_size(each, len(hosts)) for each in sizes]
    while rest:
        number = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        found.append(rest[:number])
        rest = rest[number:]
    return found


def _size(size: Any, hosts: int) -> int:
    found = re.fullmatch(r"([1-9]\d*)(%?)", str(size).strip())
    if not found:
        raise HubError(f"{size!r} is no size of a batch.", 'It is a number of hosts, or a part: "25%".')
    number, percent = found.groups()
    return max(int(number) * hosts // 100, 1) if percent else int(number)


def seconds(text: Any) -> float:
    """A time as in ``2d``, ``6h``, ``30m``, ``45s`` or ``45``, in seconds; HubError where it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", str(text).strip())
    if not found:
        raise HubError(f"{text!r} is no time to wait.", "It is as in 2d, 6h, 30m, or in seconds.")
    number, unit = found.groups()
    return timedelta(**{_UNITS[unit]: float(number)}).total_seconds()


def look(host: str, batch: int, wanted: str, last: Sequence[LastRun] | None) -> Hub:
    """A hub as its host's own records have it; ``last`` is None where the host could not be reached.

    A run to another version is none of this upgrade: the hub waits. One that was rolled back from the
    version has failed, whoever has done that.
    """
    hub = Hub(host, batch, wanted)
    if last is None:
        return replace(hub, outcome=UNREACHABLE, failure="The host was not reached, or could not be read.")
    for run in sorted(last, key=lambda each: each.ended or "", reverse=True)[:1]:
        concerned = run.from_version if run.outcome == "rolled back" else run.to_version
        if concerned == wanted and run.outcome in (*DONE, *FAILED):
            return replace(hub, **vars(run))
    return hub


def decide(
    hubs: Sequence[Hub], soak: float, max_fail_percentage: float, retry: bool, now: datetime
) -> Decision:
    """Which hubs are upgraded now.

    Of a batch those that are not done, once all batches before are done, but for the failures that are
    allowed, and have been for ``soak`` seconds. With a ``soak`` a run has one batch, the next run the next.
    A hub whose window is closed waits, and with it all batches that follow.
    ``retry`` begins failed hubs again.
    """
    again = tuple(_waits(hub) if retry and hub.has_failed else hub for hub in hubs)
    failed = [hub for hub in again if hub.has_failed]
    may_fail = int(len(hubs) * max_fail_percentage / 100) - len(failed)
    if may_fail < 0:
        return Decision((), 0, Fleet(again, stopped=_stopped(failed)))
    found: list[tuple[str, ...]] = []
    for number in sorted({hub.batch for hub in again}):
        waiting = [hub for hub in again if hub.batch == number and hub.outcome == WAITING]
        if not waiting:
            continue
        begun = any(hub.batch == number and hub.is_done for hub in again)
        soaked = _newest(hub for hub in again if hub.batch < number)
        ready = soaked + timedelta(seconds=soak) if soaked else now
        if ready > now and not begun:
            return Decision(tuple(found), may_fail, Fleet(again, not_before=ready.isoformat()))
        closed = [hub.not_before for hub in waiting if hub.not_before]
        batch = tuple(hub.host for hub in waiting if not hub.not_before)
        found += [batch] if batch else []
        if closed:
            return Decision(
                tuple(found), may_fail, Fleet(again, not_before=min(closed, key=datetime.fromisoformat))
            )
        if soak:
            break
    return Decision(tuple(found), may_fail, Fleet(again))


def opens(window: dict[str, Any], clock: str) -> str | None:
    """When a hub's window opens, by its host's ``clock`` (ISO 8601); None where it is open, or there is none.

    Raises HubError for a window that is none.
    """
    agreed = read_window(window)
    now = datetime.fromisoformat(clock)
    return None if agreed is None or agreed.is_open(now) else agreed.opening(now).isoformat()


def _waits(hub: Hub) -> Hub:
    return Hub(hub.host, hub.batch, hub.wanted, not_before=hub.not_before)


def _newest(hubs: Iterable[Hub]) -> datetime | None:
    return max((datetime.fromisoformat(hub.ended) for hub in hubs if hub.is_done and hub.ended), default=None)


def _stopped(failed: Sequence[Hub]) -> str:
    names = ", ".join(f"{hub.host} ({hub.outcome})" for hub in failed)
    return (
        f"No hub is begun, since more have failed than jupyterhub_max_fail_percentage allows: {names}. "
        "Find out why, then run it again with jupyterhub_retry=true, or without these hosts."
    )


def reported(fleet: Fleet, host: str, report: dict[str, Any]) -> Fleet:
    """The fleet after a hub's run, of which `report.compose` has made the report."""
    run = vars(LastRun.of_report(report))
    return replace(fleet, hubs=tuple(replace(hub, **run) if hub.host == host else hub for hub in fleet.hubs))


def summary(fleet: Fleet) -> str:
    """One line: how many hubs there are, and how many of them are what."""
    found = Counter(hub.outcome for hub in fleet.hubs)
    parts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))
    return f"{len(fleet.hubs)} hub{'' if len(fleet.hubs) == 1 else 's'}: {parts}"
