"""Findings: all obstacles to an upgrade and everything to know before it, found by reading.

One file for each subject. Each has its ``KINDS``, and ``check``, a pure function of the `Upgrade`; what
audit and rehearsal find has kinds in files of its own, and so has what only a move of the database can have.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Sequence

from ...errors import HubError
from ..upgrade import Upgrade
from . import (
    advisories,
    agreed_window,
    audit,
    changes,
    config,
    database,
    database_server,
    disk_space,
    environments,
    moving,
    packages,
    proxy,
    rehearsal,
    security,
    server_images,
    service,
    services,
    single_user,
    singleuser_hosts,
    target,
    templates,
)
from .finding import BLOCKER, SEVERITIES, WARNING, Finding, Kind

#: In the order in which an administrator would look.
SUBJECTS = (
    target,
    database,
    database_server,
    environments,
    packages,
    security,
    advisories,
    proxy,
    service,
    disk_space,
    config,
    services,
    single_user,
    singleuser_hosts,
    server_images,
    templates,
    changes,
    agreed_window,
)

#: With those whose findings are not made of an `Upgrade`.
ALL_SUBJECTS = (*SUBJECTS, audit, rehearsal, moving)

KINDS: dict[str, Kind] = {kind.id: kind for subject in ALL_SUBJECTS for kind in subject.KINDS}


def find(upgrade: Upgrade) -> list[Finding]:
    """All findings, blockers first; those that the policy accepts are warnings."""
    found = [finding for subject in SUBJECTS for finding in subject.check(upgrade)]
    return judge(found, upgrade.policy.accept)


def judge(found: Sequence[Finding], accepted: Sequence[str]) -> list[Finding]:
    """The findings, accepted ones as warnings, blockers first."""
    judged = [_judged(finding, accepted) for finding in found]
    return sorted(judged, key=lambda finding: SEVERITIES.index(finding.severity))


def _judged(finding: Finding, accepted: Sequence[str]) -> Finding:
    if finding.severity != BLOCKER or finding.id not in accepted:
        return finding
    if not finding.accept:
        return replace(finding, fix=f"{finding.fix} It cannot be accepted.".lstrip())
    return replace(finding, severity=WARNING, found=f"{finding.found} (It was accepted: {finding.id}.)")


def require_known(accepted: Sequence[str]) -> None:
    """Raise HubError where an accepted id is unknown to all checks."""
    unknown = [id for id in accepted if id not in KINDS]
    if unknown:
        near = [each for id in unknown for each in difflib.get_close_matches(id, KINDS, n=3)]
        raise HubError(
            f"jupyterhub_accept names unknown findings: {', '.join(unknown)}.",
            f"Did you mean {', '.join(dict.fromkeys(near))}?" if near else "docs/findings.md lists all ids.",
        )
