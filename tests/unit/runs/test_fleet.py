"""Which hubs of a fleet are next, and what its report says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import fleet, fleet_page, other_hosts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.fleet import Fleet, Hub, LastRun
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.journal import Phase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict

from tests import stories
from tests.hostile import ATTACK, hostile

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
HOSTS = [f"hub{number}" for number in range(1, 9)]
DAY = 86400.0


def last(outcome: str, old: str = "4.1.6", new: str = "6.1.1", hours_ago: float = 1) -> LastRun:
    ended = (NOW - timedelta(hours=hours_ago)).isoformat()
    why = "" if outcome == "upgraded" else "It did not start."
    return LastRun(outcome, old, new, ended, 4.5, 4.1, (), stories.FINDINGS, why)


def hubs(done: int, soaked_hours: float = 1, **others: str) -> list[Hub]:
    """Eight hubs in batches of 1, 3, 4; the first ones done, others as named."""
    found = []
    for number, batch in enumerate(fleet.batches(HOSTS, ["hub1"], [3, 4]), 1):
        for host in batch:
            at = HOSTS.index(host)
            outcome = "upgraded" if at < done else others.get(host)
            known = [last(outcome, hours_ago=soaked_hours)] if outcome else []
            found.append(fleet.look(host, number, "6.1.1", known))
    return found


@pytest.mark.parametrize(
    ("canaries", "sizes", "expected"),
    [
        ([], ["25%"], [1, 2, 2, 2, 1]),
        (["hub3", "hub5"], [1, "50%"], [2, 1, 4, 1]),
        ([], ["1%"], [1] * 8),
        ([], [100], [1, 7]),
    ],
)
def test_batches_begin_with_the_canaries(
    canaries: list[str], sizes: list[object], expected: list[int]
) -> None:
    found = fleet.batches(HOSTS, canaries, sizes)
    assert [len(batch) for batch in found] == expected
    assert found[0] == (canaries or ["hub1"])
    assert sorted(host for batch in found for host in batch) == HOSTS


@pytest.mark.parametrize(
    ("canaries", "sizes", "said"),
    [(["other"], [1], "other"), ([], ["many"], "'many' is no size"), ([], [0], "'0' is no size")],
)
def test_batches_that_cannot_be_made(canaries: list[str], sizes: list[object], said: str) -> None:
    with pytest.raises(HubError) as refused:
        fleet.batches(HOSTS, canaries, [str(each) for each in sizes])
    assert said in refused.value.message and refused.value.hint


def test_a_time_to_soak() -> None:
    assert [fleet.seconds(each) for each in ("2d", "6h", "30m", 45, "1.5h")] == [
        172800,
        21600,
        1800,
        45,
        5400,
    ]
    with pytest.raises(HubError, match="'two days' is no time"):
        fleet.seconds("two days")


def test_without_a_soak_all_batches_follow_each_other_and_a_run_continues_where_another_stopped() -> None:
    assert fleet.decide(hubs(0), 0, 0, False, NOW).batches == (("hub1",), tuple(HOSTS[1:4]), tuple(HOSTS[4:]))
    assert fleet.decide(hubs(3), 0, 0, False, NOW).batches == (("hub4",), tuple(HOSTS[4:]))
    assert fleet.decide(hubs(8), 0, 0, False, NOW).batches == ()


def test_the_next_batch_waits_until_the_one_before_has_soaked() -> None:
    assert fleet.decide(hubs(0), DAY, 0, False, NOW).batches == (("hub1",),)
    waits = fleet.decide(hubs(1, soaked_hours=23), DAY, 0, False, NOW)
    assert (waits.batches, waits.fleet.not_before) == ((), "2026-11-22T13:00:00+00:00")
    assert fleet.decide(hubs(1, soaked_hours=25), DAY, 0, False, NOW).batches == (tuple(HOSTS[1:4]),)
    # A batch that was cut off soaks when all of it is done.
    assert fleet.decide(hubs(2, soaked_hours=1), DAY, 0, False, NOW).batches == (tuple(HOSTS[2:4]),)


def test_a_hub_waits_for_its_window_and_later_batches_wait_for_it() -> None:
    sunday = {"days": ["sun"], "start": "13:00", "hours": 2}
    closed = fleet.opens(sunday, "2026-11-22T12:00:00+01:00")
    assert closed == "2026-11-22T13:00:00+01:00"
    assert fleet.opens(sunday, "2026-11-22T13:30:00+01:00") is fleet.opens({}, "2026-11-22T12:00:00") is None
    known = [replace(hub, not_before=closed if hub.host == "hub2" else None) for hub in hubs(1)]
    waits = fleet.decide(known, 0, 0, False, NOW)
    assert (waits.batches, waits.fleet.not_before) == ((("hub3", "hub4"),), closed)


@pytest.mark.parametrize("outcome", ["restored", "failed"])
def test_nothing_is_begun_after_a_failure_unless_it_is_allowed(outcome: str) -> None:
    known = hubs(1, hub2=outcome)
    stopped = fleet.decide(known, 0, 0, False, NOW)
    assert stopped.batches == () and f"hub2 ({outcome})" in stopped.fleet.stopped
    allowed = fleet.decide(known, 0, 13, False, NOW)
    assert (allowed.batches[0], allowed.may_fail) == (("hub3", "hub4"), 0)
    assert fleet.decide(known, 0, 0, True, NOW).batches[0] == ("hub2", "hub3", "hub4")


def test_a_hub_that_was_rolled_back_or_cannot_be_reached_has_failed() -> None:
    back = fleet.look("hub1", 1, "6.1.1", [last("upgraded"), last("rolled back", "6.1.1", "4.1.6", 0.5)])
    away = fleet.look("hub2", 2, "6.1.1", None)
    assert back.has_failed and away.has_failed and "reached" in away.failure


def test_runs_to_other_versions_and_those_under_way_are_no_end() -> None:
    for run in (last("upgraded", "3.1.1", "4.1.6"), last("rolled back", "5.4.6", "4.1.6"), last("under way")):
        assert fleet.look("hub1", 1, "6.1.1", [run]).outcome == fleet.WAITING


def test_the_report_has_a_row_for_each_hub_and_findings_by_frequency() -> None:
    report = stories.report_of(stories.upgraded())
    known = Fleet(tuple(hubs(0)))
    for host in ("hub2", "hub1"):
        known = fleet.reported(known, host, report)
    known = fleet.reported(known, "hub3", stories.report_of(stories.restored()))
    made = fleet_page.contents(known)
    assert from_dict(Fleet, json.loads(made[".json"])) == known
    assert fleet.summary(known) == "8 hubs: 1 restored, 2 upgraded, 5 waiting"
    for told in ("2 of 8", "4.5 s", "The hub exited at its start.", "3 of 8 hubs: hub1, hub2, hub3"):
        assert told in made[".html"], told
    assert made[".md"].count("| hub") == 8 + 1


def test_a_row_says_how_each_other_host_of_the_hub_ended() -> None:
    hosts = [
        {"host": "node1", "ended": "upgraded"},
        {"host": "node2", "ended": "left out", "why": "It cannot be reached."},
        {"host": "node3", "ended": "failed", "why": "The old environments are in place."},
    ]
    run = stories.upgraded()
    run.record(Phase(other_hosts.PHASE, 0.0, "ok", {"hosts": hosts}))
    known = fleet.reported(Fleet(tuple(hubs(0))), "hub1", stories.report_of(run))
    assert [each.ended for each in known.hubs[0].other_hosts] == ["upgraded", "left out", "failed"]
    told = fleet_page.contents(known)[".md"]
    assert "| 1 upgraded, 1 left out (node2), 1 failed (node3) |" in told, told
    # The next run reads it of the host's own record.
    last_run = LastRun.of_report(stories.report_of(run))
    assert fleet.look("hub1", 1, "6.1.1", [last_run]).other_hosts == known.hubs[0].other_hosts


def test_nothing_that_hubs_have_written_is_markup() -> None:
    known = Fleet(tuple(hubs(0)))
    known = fleet.reported(known, "hub1", hostile(stories.report_of(stories.restored())))
    first = replace(known.hubs[0], host=f"hub1{ATTACK}")
    page = fleet_page.contents(replace(known, hubs=(first, *known.hubs[1:])))[".html"]
    assert "<script" not in page and "<img" not in page
    assert to_dict(known)["format"] == fleet.FORMAT
