"""The release that is wanted: whether there is one, and whether it should be wanted."""

from __future__ import annotations

from typing import Iterator

from ...releases import catalogue
from ...releases.versions import parse_release
from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind

_FAULTY = ", ".join(
    f"{fault.first} to {fault.last}" for series in catalogue.SERIES for fault in series.faults
)
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
    "A database cannot be migrated back, so an upgrade cannot lower the version.",
    "Name a newer version.",
)
KNOWN_BAD_TARGET = Kind(
    "known-bad-target",
    WARNING,
    f"The wanted version has a fault that a later release of its series has fixed ({_FAULTY}).",
    "The upgrade would install the fault.",
    "Take the newest release of the series.",
)
FAILED_BEFORE = Kind(
    "failed-before",
    BLOCKER,
    "The same upgrade was undone the last time, since a step of its outage failed, and nothing has changed.",
    "It would fail again: users would have one more outage for nothing.",
    "Remove the cause; to try again without a change: jupyterhub_retry: true.",
    accept=True,
)
KINDS = (TARGET_NOT_AVAILABLE, DOWNGRADE, KNOWN_BAD_TARGET, FAILED_BEFORE)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What is wrong with the target itself."""
    target = upgrade.target
    if target.problem:
        yield TARGET_NOT_AVAILABLE.found(target.problem, target.hint)
        return
    failed = upgrade.host.failed
    if failed and failed.basis == upgrade.basis:
        # What follows is the end of a log, which the run's report has.
        reason = failed.reason.partition("\n")[0]
        yield FAILED_BEFORE.found(f"Run {failed.run} was undone at {failed.at}: {reason}")
    if upgrade.is_downgrade:
        yield DOWNGRADE.found(
            f"The hub runs JupyterHub {upgrade.current}, which is newer than {target.version}."
        )
    fault = catalogue.fault_of(parse_release(target.version))
    if fault:
        yield KNOWN_BAD_TARGET.found(
            f"JupyterHub {target.version} is known to be bad: {fault.problem} ({fault.source}).",
            f"Take {fault.better}.",
        )
