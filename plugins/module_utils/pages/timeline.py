"""A timeline, drawn to scale: what took how long, and when the hub was away.

Positions are percentages of the width and texts have the page's own size, so it is the same on a phone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from .blocks import Block, Table
from .markup import Html, element, joined

ROW_PIXELS = 42
BAR_PIXELS = 10
AXIS_PIXELS = 24
MOST_TICKS = 5
#: Seconds between two marks of the axis.
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
#: Nearer to an end of the axis, in percent, a mark's text would be cut off.
EDGE = 6.0


@dataclass(frozen=True)
class Bar:
    """Something that took its time: ``begin`` and ``end`` in seconds since the timeline's begin."""

    name: str
    begin: float
    end: float
    failed: bool = False

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Timeline(Block):
    """Bars below each other, and behind them a band."""

    bars: tuple[Bar, ...]
    band: tuple[float, float] | None = None
    """Begin and end of the outage, as those of a each."""

    @property
    def begin(self) -> float:
        return min(each.begin for each in self.bars)

    @property
    def seconds(self) -> float:
        """How long all of it took; never nothing, since it is divided by."""
        return max(max(each.end for each in self.bars) - self.begin, 0.001)

    def of_band(self) -> Timeline | None:
        """Those bars by themselves of which most lies in the band; None where there are none."""
        begin, end = self.band or (0.0, 0.0)
        bars = tuple(each for each in self.bars if begin <= (each.begin + each.end) / 2 <= end)
        return Timeline(bars) if bars else None

    def html(self) -> Html:
        height = ROW_PIXELS * len(self.bars) + AXIS_PIXELS
        drawn = [*self._band(height), *self._axis(height)]
        for number, each in enumerate(self.bars):
            drawn += self._row(number * ROW_PIXELS, each)
        said = ", ".join(f"{_label(each)} {duration(each.seconds)}" for each in self.bars)
        svg = element("svg", joined(*drawn), role="img", aria_label=said, width="100%", height=str(height))
        if not self.band:
            return svg
        return joined(svg, element("p", element("span", class_="swatch"), self._legend, class_="legend"))

    @property
    def _legend(self) -> str:
        begin, end = self.band or (0.0, 0.0)
        return f"The hub is away after {duration(begin - self.begin)}, for {duration(end - begin)}."

    def _band(self, height: int) -> list[Html]:
        return [self._rectangle("band", *self.band, 0, height - AXIS_PIXELS)] if self.band else []

    def _axis(self, height: int) -> list[Html]:
        step = next((step for step in STEPS if self.seconds / step <= MOST_TICKS), self.seconds / MOST_TICKS)
        drawn: list[Html] = []
        for number in itertools.count():
            position = 100 * number * step / self.seconds
            if position > 100:
                return drawn
            anchor = "start" if position < EDGE else "end" if position > 100 - EDGE else "middle"
            place = f"{position:.3f}%"
            drawn.append(
                element("line", class_="tick", x1=place, x2=place, y1="0", y2=str(height - AXIS_PIXELS))
            )
            drawn.append(
                element("text", duration(number * step), x=place, y=str(height - 6), text_anchor=anchor)
            )
        return drawn

    def _row(self, top: int, each: Bar) -> list[Html]:
        kind = "bar failed" if each.failed else "bar"
        return [
            element("text", _label(each), class_="name", x="0", y=str(top + 17)),
            element("text", duration(each.seconds), x="100%", y=str(top + 17), text_anchor="end"),
            self._rectangle(kind, each.begin, each.end, top + 24, BAR_PIXELS),
        ]

    def _rectangle(self, kind: str, begin: float, end: float, top: int, height: int) -> Html:
        left, width = (100 * part / self.seconds for part in (begin - self.begin, end - begin))
        return element(
            "rect",
            class_=kind,
            x=f"{left:.3f}%",
            y=str(top),
            width=f"{width:.3f}%",
            height=str(height),
        )

    def markdown(self) -> str:
        rows = tuple(
            (_label(each), duration(each.begin - self.begin), duration(each.seconds)) for each in self.bars
        )
        table = Table(("phase", "after", "took"), rows, numbers=(1, 2)).markdown()
        return f"{table}\n\n{self._legend}" if self.band else table


def _label(each: Bar) -> str:
    return f"{each.name}, failed" if each.failed else each.name


def duration(seconds: float) -> str:
    """``20 ms``, ``4.2 s``, ``48 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = whole % 3600 // 60
    return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
