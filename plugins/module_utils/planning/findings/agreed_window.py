"""The window that was agreed for upgrades."""

from __future__ import annotations

from collections.abc import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, Finding, Kind

OUTSIDE_WINDOW = Kind(
    "outside-window",
    BLOCKER,
    "It is not the time that was agreed for upgrades, jupyterhub_window.",
    "Nobody expects that the hub is away now.",
    "Run the upgrade when the window is open; a plan may be made at any time.",
    accept=True,
)
KINDS = (OUTSIDE_WINDOW,)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """Whether the upgrade may begin now."""
    window, now = upgrade.policy.window, upgrade.host.now
    if upgrade.changes and window and now and not window.is_open(now):
        opens = window.opening(now)
        yield OUTSIDE_WINDOW.found(
            f"The window is {window}; on the host it is {now:%a %H:%M}, "
            f"and it opens {opens:%a %Y-%m-%d %H:%M}."
        )
