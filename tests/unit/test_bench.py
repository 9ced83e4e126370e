"""The figures of the bench have the shape and the arithmetic that others read."""

from __future__ import annotations

import pytest

from tests.bench.figures import figures, summary, table
from tests.bench.measurement import Measurement


def measured(
    *downtimes: float,
    phases: dict[str, float],
    noop: float | None = None,
    preflight: float | None = None,
) -> list[Measurement]:
    return [Measurement(downtime, 60.0, phases, noop, preflight) for downtime in downtimes]


FOUND = figures(
    {
        "documented": measured(30.0, 20.0, 40.0, phases={}),
        "shell": measured(6.0, 5.0, 9.0, phases={}),
        "upgrade": measured(4.5, 7.5, 4.0, phases={"stop": 0.25, "start": 2.5}, noop=8.0, preflight=3.5),
    },
    version_match=0.31,
)


@pytest.mark.parametrize(
    ("values", "median", "least", "most"),
    [([2.0], 2.0, 2.0, 2.0), ([3.0, 1.0, 2.0], 2.0, 1.0, 3.0), ([1.0, 2.0], 1.5, 1.0, 2.0)],
)
def test_summary(values: list[float], median: float, least: float, most: float) -> None:
    assert summary(values) == {"median": median, "min": least, "max": most}


def test_figures() -> None:
    assert FOUND["downtime_seconds"] == {
        "documented": {"median": 30.0, "min": 20.0, "max": 40.0},
        "shell": {"median": 6.0, "min": 5.0, "max": 9.0},
        "upgrade": {"median": 4.5, "min": 4.0, "max": 7.5},
    }
    assert FOUND["ratios"] == {"documented": 0.15, "shell": 0.75}
    assert FOUND["version_match_1000_seconds"] == 0.31
    assert FOUND["noop_seconds"] == 8.0
    assert FOUND["preflight_seconds"] == {"median": 3.5, "min": 3.5, "max": 3.5}
    assert FOUND["phase_seconds"]["start"]["median"] == 2.5


def test_table_says_what_is_missed() -> None:
    missed = {**FOUND, "noop_seconds": 12.0}
    assert "MISSED" not in table(FOUND)
    assert [line.split()[0] for line in table(missed).splitlines() if "MISSED" in line] == ["second"]
