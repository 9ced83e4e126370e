"""From measurements to what ``build/bench.json`` and the printed table say."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from .measurement import Measurement

#: What is wanted, by the figure's name: at most this.
WANTED = {
    "downtime, upgrade / documented": 0.25,
    "downtime, upgrade / shell": 1.25,
    "version match of 1,000 environments, seconds": 1.0,
    "second upgrade, seconds": 10.0,
    "preflight on a host, seconds": 5.0,
}


def summary(values: Iterable[float]) -> dict[str, float]:
    """Median and spread."""
    known = list(values)
    return {
        "median": round(statistics.median(known), 3),
        "min": round(min(known), 3),
        "max": round(max(known), 3),
    }


def figures(measured: dict[str, list[Measurement]], version_match: float) -> dict[str, Any]:
    """The content of ``build/bench.json``; all figures are seconds, or ratios of medians.

    ``measured`` has the measurements of each procedure by its name, ``version_match`` the seconds that the
    comparison of 1,000 environments takes.
    """
    downtime = {name: summary(one.downtime for one in runs) for name, runs in measured.items()}
    upgrades = measured["upgrade"]
    return {
        "downtime_seconds": downtime,
        "ratios": {
            name: round(downtime["upgrade"]["median"] / downtime[name]["median"], 3)
            for name in ("documented", "shell")
        },
        "version_match_1000_seconds": round(version_match, 3),
        "noop_seconds": round(statistics.median(one.noop for one in upgrades if one.noop is not None), 3),
        "preflight_seconds": summary(one.preflight for one in upgrades if one.preflight is not None),
        "total_seconds": {name: summary(one.total for one in runs) for name, runs in measured.items()},
        "phase_seconds": {
            phase: summary(one.phases[phase] for one in upgrades) for phase in upgrades[0].phases
        },
        "runs": len(upgrades),
    }


def table(found: dict[str, Any]) -> str:
    """The figures for a terminal."""
    lines = [f"{'downtime, seconds':<46}{'median':>8}{'min':>8}{'max':>8}"]
    lines += [_row(name, values) for name, values in found["downtime_seconds"].items()]
    lines += ["", f"{'phase of upgrade.yml, seconds':<46}{'median':>8}{'min':>8}{'max':>8}"]
    lines += [_row(name, values) for name, values in found["phase_seconds"].items()]
    lines += ["", f"{'wanted':<46}{'found':>8}{'at most':>8}"]
    reached = (
        found["ratios"]["documented"],
        found["ratios"]["shell"],
        found["version_match_1000_seconds"],
        found["noop_seconds"],
        found["preflight_seconds"]["median"],
    )
    for (name, limit), value in zip(WANTED.items(), reached):
        lines.append(f"{name:<46}{value:>8.3f}{limit:>8.2f}  {'reached' if value <= limit else 'MISSED'}")
    return "\n".join(lines)


def _row(name: str, values: dict[str, float]) -> str:
    return f"{name:<46}" + "".join(f"{values[key]:>8.2f}" for key in ("median", "min", "max"))
