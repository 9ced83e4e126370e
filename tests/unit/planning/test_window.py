"""The agreed window: when an upgrade may begin, and when one that came too early may be tried again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.window import read_window

WEEKEND = {"days": ["sat", "sun"], "start": "22:00", "hours": 4}
DAILY = {"start": "03:30", "hours": 1.5}


@pytest.mark.parametrize(
    ("window", "moment", "is_open", "opening"),
    [
        # 2026-11-28 is a Saturday.
        (WEEKEND, "2026-11-27T23:00", False, "2026-11-28T22:00"),
        (WEEKEND, "2026-11-28T21:59", False, "2026-11-28T22:00"),
        (WEEKEND, "2026-11-28T22:00", True, "2026-11-28T22:00"),
        (WEEKEND, "2026-11-29T01:59", True, "2026-11-28T22:00"),
        (WEEKEND, "2026-11-29T02:00", False, "2026-11-29T22:00"),
        (WEEKEND, "2026-11-30T01:00", True, "2026-11-29T22:00"),
        (WEEKEND, "2026-11-30T02:00", False, "2026-12-05T22:00"),
        (DAILY, "2026-11-30T04:59", True, "2026-11-30T03:30"),
        (DAILY, "2026-11-30T05:00", False, "2026-12-01T03:30"),
        ({"days": ["mon"], "start": "00:00", "hours": 24}, "2026-11-30T23:59", True, "2026-11-30T00:00"),
    ],
)
def test_when_it_is_open(window: dict[str, Any], moment: str, is_open: bool, opening: str) -> None:
    read, at = read_window(window), datetime.fromisoformat(moment)
    assert read
    assert (read.is_open(at), read.opening(at)) == (is_open, datetime.fromisoformat(opening))


def test_none_is_agreed() -> None:
    assert read_window({}) is None


@pytest.mark.parametrize(
    ("window", "wrong"),
    [
        ({**WEEKEND, "days": ["saturday"]}, "unknown days: saturday"),
        ({**WEEKEND, "start": "22"}, "does not match format"),
        ({**WEEKEND, "hours": 0}, "0 hours"),
        ({"start": "22:00"}, "Window has no hours"),
    ],
)
def test_one_that_cannot_be_read_is_named(window: dict[str, Any], wrong: str) -> None:
    with pytest.raises(HubError, match=f"jupyterhub_window cannot be read: .*{wrong}") as caught:
        read_window(window)
    assert "start: " in caught.value.hint
