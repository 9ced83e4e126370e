"""The release that is wanted: whether there is one, and whether it should be wanted."""

from __future__ import annotations

from typing import Iterator

from ...releases import versions
from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind

TARGET_NOT_AVAILABLE = Kind(
    "target-not-available",
    BLOCKER,
    "The index or the folder of wheels does not have the wanted version, or cannot be reached.",
    "Without it nothing can be staged.",
    "Name a version that exists, or an index that has it in jupyterhub_index_url.",
)
DOWNGRADE = Kind(
    "downgrade",
    BLOCKER,
    "The hub runs a newer version than the one that is wanted.",
    "A database cannot be migrated back, so an upgrade never goes down.",
    "Name a newer version.",
)
KNOWN_BAD_TARGET = Kind(
    "known-bad-target",
    WARNING,
    "The wanted version has a fault that its series has fixed later (4.1.0 to 4.1.3, 5.4.0 to 5.4.2).",
    "The upgrade would bring the fault along.",
    "Take the newest release of the series.",
)
KINDS = (TARGET_NOT_AVAILABLE, DOWNGRADE, KNOWN_BAD_TARGET)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the target itself."""
    target = upgrade.target
    if target.problem:
        yield TARGET_NOT_AVAILABLE.found(target.problem, target.hint)
        return
    if upgrade.is_downgrade:
        yield DOWNGRADE.found(
            f"The hub runs JupyterHub {upgrade.current}, which is newer than {target.version}."
        )
    problem = versions.known_problem(versions.parse_release(target.version))
    if problem:
        text, better = problem
        yield KNOWN_BAD_TARGET.found(
            f"JupyterHub {target.version} is known to be bad: {text}.", f"Take {better}."
        )
