"""Data in which every text that somebody else has written attacks whoever shows it."""

from __future__ import annotations

from typing import Any

ATTACK = (
    "</style></title><script>document.title='taken'</script><img src=x onerror=document.title='taken'>\"'&"
)
#: Words of our own, and times, which nobody else writes.
OURS = (
    "outcome",
    "severity",
    "result",
    "began",
    "started",
    "ended",
    "stopped_at",
    "action",
    "strategy",
    "kind",
)
#: Mappings whose keys are names of tables and paths.
NAMED = ("rows_before", "rows_after", "packages", "bytes_needed")


def hostile(data: Any, key: str = "") -> Any:
    """The same with the attack in each text."""
    if isinstance(data, dict):
        end = ATTACK if key in NAMED else ""
        return {f"{name}{end}": hostile(value, name) for name, value in data.items()}
    if isinstance(data, list):
        return [hostile(each) for each in data]
    return f"{data}{ATTACK}" if isinstance(data, str) and key not in OURS else data
