"""The agreed window for upgrades: days, when it opens, for how long; in the time of the hub's host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..errors import HubError
from ..shapes import from_dict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = timedelta(days=7)
EXAMPLE = 'It is like {days: [sat, sun], start: "22:00", hours: 4}.'


@dataclass(frozen=True)
class Window:
    """When an upgrade may begin."""

    days: tuple[str, ...]
    """Those on which it opens, of `DAYS`; all where there are none."""
    start: str
    """When it opens, ``22:00``."""
    hours: float
    """For how long it is open, also past midnight."""

    def opening(self, moment: datetime) -> datetime:
        """When it opens that is open at a ``moment``, or that comes next after it."""
        hour, minute = (int(part) for part in self.start.split(":"))
        first = moment.replace(hour=hour, minute=minute, second=0, microsecond=0) - _WEEK
        openings = (first + timedelta(days=day) for day in range(15))
        return next(
            opening
            for opening in openings
            if (not self.days or DAYS[opening.weekday()] in self.days)
            and moment < opening + timedelta(hours=self.hours)
        )

    def is_open(self, moment: datetime) -> bool:
        """Whether an upgrade may begin at a ``moment``."""
        return self.opening(moment) <= moment

    def __str__(self) -> str:
        days = ", ".join(self.days) or "every day"
        return f"{days} from {self.start}, for {self.hours:g} hours"


def read_window(data: dict[str, Any]) -> Window | None:
    """The window of an inventory; None where none is agreed. Raises HubError where it is none."""
    if not data:
        return None
    try:
        window = from_dict(Window, {"days": (), **data})
        datetime.strptime(window.start, "%H:%M")
    except (HubError, ValueError) as error:
        raise HubError(f"jupyterhub_window cannot be read: {error}", EXAMPLE) from None
    unknown = [day for day in window.days if day not in DAYS]
    if unknown or not 0 < window.hours <= 24:
        wrong = f"unknown days: {', '.join(unknown)}" if unknown else f"{window.hours:g} hours"
        raise HubError(f"jupyterhub_window cannot be read: {wrong}.", EXAMPLE)
    return window
