"""A timeline is to scale."""

from __future__ import annotations

import re

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.pages.timeline import Bar, Timeline, duration

BARS = (Bar("stage", 10, 60), Bar("stop", 60, 61), Bar("start", 61, 70, failed=True), Bar("verify", 70, 110))


def rectangles(timeline: Timeline) -> list[tuple[str, float, float]]:
    """Class, left edge and width in percent of what is drawn."""
    found = re.findall(r'<rect class="([a-z ]+)" x="([\d.]+)%" y="\d+" width="([\d.]+)%"', timeline.html())
    return [(kind, float(left), float(width)) for kind, left, width in found]


def test_bars_and_outage_are_drawn_to_one_scale() -> None:
    assert rectangles(Timeline(BARS, (60, 69))) == [
        ("band", 50, 9),
        ("bar", 0, 50),
        ("bar", 50, 1),
        ("bar failed", 51, 9),
        ("bar", 60, 40),
    ]


def test_the_outage_by_itself_has_a_scale_of_its_own() -> None:
    outage = Timeline(BARS, (60, 69.8)).of_band()
    assert outage and rectangles(outage) == [("bar", 0, 10), ("bar failed", 10, 90)]
    assert Timeline(BARS).of_band() is None


def test_it_is_told_to_who_does_not_see_it() -> None:
    timeline = Timeline(BARS, (60, 69))
    assert 'aria-label="stage 50 s, stop 1 s, start, failed 9 s, verify 40 s"' in timeline.html()
    assert timeline.markdown().splitlines()[-4:] == [
        "| start, failed | 51 s | 9 s |",
        "| verify | 60 s | 40 s |",
        "",
        "The hub is away after 50 s, for 9 s.",
    ]


def test_a_moment_is_a_timeline_as_well() -> None:
    assert rectangles(Timeline((Bar("find", 0, 0),))) == [("bar", 0, 0)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.02, "20 ms"),
        (4.25, "4.2 s"),
        (9.97, "10 s"),
        (61, "61 s"),
        (120, "2 min"),
        (200, "3 min 20 s"),
        (7199.6, "2 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert duration(seconds) == text
