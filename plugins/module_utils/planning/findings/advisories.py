"""Security advisories that the upgrade closes, and those that it leaves open."""

from __future__ import annotations

from typing import Iterator

from ...releases.advisories import Advisory, open_in
from ..upgrade import Upgrade, environments_of
from .finding import NOTE, WARNING, Finding, Kind

ADVISORIES_OPEN = Kind(
    "advisories-open",
    WARNING,
    "Known vulnerabilities are not fixed by the versions that the environments would have.",
    "Who reads the advisory can use them.",
    "Choose a newer version: jupyterhub_version: latest, or a newer package in jupyterhub_packages.",
)
ADVISORIES_CLOSED = Kind(
    "advisories-closed",
    NOTE,
    "Known vulnerabilities of today's versions are fixed by the upgrade.",
    "Until then they are open.",
    "Nothing is to be done but the upgrade.",
)
KINDS = (ADVISORIES_OPEN, ADVISORIES_CLOSED)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is known of the versions before and after, over all environments."""
    changed = {entry.path for entry in upgrade.environments}
    before: dict[Advisory, str] = {}
    after: dict[Advisory, str] = {}
    for environment in environments_of(upgrade.deployment):
        path = environment.path
        today = {**environment.facts.packages, **upgrade.host.installed.get(path, {})}
        then = {**today, **upgrade.packages_after(path)}
        if path in changed:
            then["jupyterhub"] = upgrade.target.version
        before.update((each, today[each.package]) for each in open_in(today))
        after.update((each, then[each.package]) for each in open_in(then))
    if after:
        yield ADVISORIES_OPEN.found(f"The upgrade leaves open: {_listing(after)}.")
    closed = {each: version for each, version in before.items() if each not in after}
    if closed:
        yield ADVISORIES_CLOSED.found(f"The upgrade closes: {_listing(closed)}.")


def _listing(found: dict[Advisory, str]) -> str:
    return ", ".join(
        f"{each.id} ({each.package} {version}, fixed in {' and '.join(each.fixed_in)})"
        for each, version in found.items()
    )
